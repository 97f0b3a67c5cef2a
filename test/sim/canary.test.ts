import { describe, expect, test } from 'vitest';
import type { OwnershipLedger } from '../../src/base/index.ts';
import {
  type HistoryOptions,
  runHistory,
  type SimulatedHost,
  type SimulationParts,
} from '../../src/experiments/simulation/index.ts';
import { dirtyMapAddress, type Machine, type PauseReason } from '../../src/guestmem/index.ts';
import { SMALL_HISTORY } from './small-history.ts';

/**
 * What the checkers say of a simulation with a broken part. A canary that is not seen to die
 * protects nobody.
 */
async function violationsOf(
  parts: SimulationParts,
  options: Partial<HistoryOptions> = {},
): Promise<string> {
  const { violations } = await runHistory({ ...SMALL_HISTORY, ...options, parts });
  return violations.join('\n');
}

/** The machine at one host, with some methods replaced. */
function brokenAt(
  name: string,
  broken: (machine: Machine) => Partial<Machine>,
): (machine: Machine, host: SimulatedHost) => Machine {
  return (machine, host) => {
    if (host.name !== name) return machine;
    const changes = broken(machine);
    return new Proxy(machine, {
      get(target, key) {
        const value: unknown = Reflect.get(key in changes ? changes : target, key);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
}

describe('runHistory() sees', () => {
  test('nothing when nothing is broken', async () => {
    expect(await violationsOf({ machine: brokenAt('a', () => ({})) })).toBe('');
  });

  test('a store whose dirty mark is lost', async () => {
    let stores = 0;
    const violations = await violationsOf(
      {
        written({ memory, description }, pfn) {
          stores += 1;
          if (stores % 2 !== 0) return;
          const log = pfn % description.vcpuCount;
          const [block] = memory.blocks;
          if (block === undefined) return;
          block.bytes[dirtyMapAddress(block.layout, log, memory.activeMap(log)) + pfn] = 0;
        },
      },
      { guest: { ...SMALL_HISTORY.guest, hotPages: 12, writesPerStep: 8, stepMs: 1 } },
    );
    expect(violations).toContain('RAM differs at b');
  });

  test('a source that says that it gives the guest away while it runs', async () => {
    const violations = await violationsOf({
      machine: brokenAt('a', (machine) => ({
        async save() {
          const state = await machine.save();
          machine.resume('migration');
          return state;
        },
      })),
    });
    expect(violations).toContain('a runs the guest while its disk says granting');
  });

  test('a source that runs the guest again after GRANT', async () => {
    const violations = await violationsOf({
      machine: brokenAt('a', (machine) => ({
        async pause(reason: PauseReason) {
          await machine.pause(reason);
          if (reason !== 'ownership') return;
          // After everything that this moment brings: GRANT among it.
          setImmediate(() => {
            machine.resume('ownership');
            machine.resume('migration');
          });
        },
      })),
    });
    expect(violations).toContain('a runs the guest after GRANT');
    expect(violations).toContain('a and b run the guest');
  });

  test.each(['a', 'b'])('a ledger at %s that forgets', async (name) => {
    const violations = await violationsOf({
      ledger: (ledger, host): OwnershipLedger =>
        host.name === name ? { read: (uuid) => ledger.read(uuid), write: async () => {} } : ledger,
    });
    expect(violations).toContain(
      name === 'a' ? 'a sends GRANT while its disk says owner' : 'b sends RESUMED while its disk',
    );
  });

  test('a destination that runs the guest without GRANT', async () => {
    const violations = await violationsOf({
      machine: brokenAt('b', (machine) => ({
        async load(state) {
          await machine.load(state);
          machine.resume('ownership');
        },
      })),
    });
    expect(violations).toContain('b runs the guest while its disk says preparing');
  });

  test('a destination that keeps the machine of a migration that failed', async () => {
    const violations = await violationsOf(
      { factory: (factory) => ({ ...factory, destroy: async () => {} }) },
      {
        fault: { kind: 'frame', fate: 'cut', direction: 'to-source', at: 'SWITCHOVER_ACK' },
        retry: false,
      },
    );
    expect(violations).toContain('b failed and still has a guest');
  });

  test('a source that does not let the guest go on after a failure', async () => {
    const violations = await violationsOf(
      { machine: brokenAt('a', () => ({ resume() {} })) },
      { fault: { kind: 'frame', fate: 'cut', direction: 'to-destination', at: 'SWITCHOVER' } },
    );
    expect(violations).toContain('a owns the guest and does not run it');
  });

  test('a machine that loads another state than was saved', async () => {
    const violations = await violationsOf({
      machine: brokenAt('b', (machine) => ({
        load: ({ sections }) =>
          machine.load({
            sections: sections.map((section, index) =>
              index === 0 ? { ...section, bytes: new Uint8Array(section.bytes.length) } : section,
            ),
          }),
      })),
    });
    expect(violations).toContain('b resumes an impossible state');
  });

  test('a migration that never ends', async () => {
    const violations = await violationsOf({
      machine: brokenAt('a', () => ({ save: () => new Promise(() => {}) })),
    });
    expect(violations).toContain('it hangs');
  });
});
