import { describe, expect, test } from 'vitest';
import type { OwnershipLedger } from '../../src/base/index.ts';
import {
  type HistoryOptions,
  runHistory,
  type SimulatedHost,
  type SimulationParts,
} from '../../src/experiments/simulation/index.ts';
import {
  dirtyMapAddress,
  type Machine,
  type PauseReason,
  type RamBlock,
} from '../../src/guestmem/index.ts';
import { OPERATED } from './matrix.ts';
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

const POSTCOPY = {
  guest: { ...SMALL_HISTORY.guest, stepMs: 1, writesPerStep: 4, touchedPages: 60, hotPages: 60 },
  link: { ...SMALL_HISTORY.link, bandwidthBytesPerSecond: 4e6 },
  parameters: {
    ...SMALL_HISTORY.parameters,
    mode: 'postcopy',
    maxPostcopyBandwidthBytesPerSecond: 8e6,
  },
} as const satisfies Partial<HistoryOptions>;

/** Breaks the link in the middle of the push. */
const BROKEN_ONCE = {
  ...POSTCOPY,
  fault: { kind: 'frame', fate: 'cut', direction: 'to-source', at: 'PAGE_REQUEST' },
} as const satisfies Partial<HistoryOptions>;

/** The RAM of the machine at one host, whose blocks do something else. */
function brokenRamAt(
  name: string,
  broken: (block: RamBlock) => Partial<RamBlock>,
): SimulationParts {
  const proxied = <T extends object>(target: T, changes: Partial<T>): T =>
    new Proxy(target, {
      get(_, key) {
        const value: unknown = Reflect.get(key in changes ? changes : target, key);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  return {
    machine: (machine, host) => {
      if (host.name !== name) return machine;
      const blocks = machine.memory.blocks.map((block) => proxied(block, broken(block)));
      return proxied(machine, { memory: proxied(machine.memory, { blocks }) });
    },
  };
}

describe('runHistory() sees in post-copy', () => {
  test('nothing when nothing is broken', async () => {
    expect(
      await violationsOf(
        brokenRamAt('b', () => ({})),
        BROKEN_ONCE,
      ),
    ).toBe('');
  });

  test('a page that comes again over what the guest wrote', async () => {
    const first = new Map<number, Buffer>();
    const parts = brokenRamAt('b', (block) => ({
      apply: (address, bytes, tableBytes, crc, keep) => {
        const result = block.apply(address, bytes, tableBytes, crc, keep);
        const pageOf = (pfn: number) => block.ram.subarray(pfn * 4096, (pfn + 1) * 4096);
        // As if each frame brought again whatever came before it.
        for (const [pfn, page] of first) page.copy(pageOf(pfn));
        const table = new DataView(block.memory.buffer, address + bytes - tableBytes, tableBytes);
        const pfn = table.getUint32(0, true);
        if (keep && table.getUint8(4) === 2) first.set(pfn, Buffer.from(pageOf(pfn)));
        return result;
      },
    }));
    const violations = await violationsOf(parts, POSTCOPY);
    expect(violations).toMatch(/was not what the guest had made of it/);
  });

  test('a page that is marked before it is whole', async () => {
    const parts = brokenRamAt('b', (block) => ({
      apply: (address, bytes, tableBytes, crc, keep) => {
        const result = block.apply(address, bytes, tableBytes, crc, keep);
        const { ram, layout } = block;
        const table = new DataView(block.memory.buffer, address + bytes - tableBytes, tableBytes);
        const pfn = table.getUint32(0, true);
        // Its second half is still on its way.
        if (table.getUint8(4) === 2) ram.fill(0, pfn * 4096 + 2048, (pfn + 1) * 4096);
        expect(layout.pageCount).toBeGreaterThan(pfn);
        return result;
      },
    }));
    expect(await violationsOf(parts, POSTCOPY)).toContain('RAM differs at b');
  });

  test('a received map whose complement is one page off', async () => {
    const parts = brokenRamAt('a', (block) => ({
      setDirty: (bitmap) => {
        const shifted = bitmap.map((byte, index) => (byte << 1) | ((bitmap[index - 1] ?? 0) >>> 7));
        block.setDirty(shifted);
      },
    }));
    const violations = await violationsOf(parts, BROKEN_ONCE);
    // The source refuses the map, for it asks for pages that were not missing at the switch.
    expect(violations).toContain('waits for a page');
  });

  test('a source that sends a page twice', async () => {
    let repeats = 0;
    const parts = brokenRamAt('a', (block) => ({
      takeDirty: ((...args: Parameters<RamBlock['takeDirty']>) => {
        const taken = block.takeDirty(...args);
        // The bits of what was taken come back once.
        if (block.countDirty() < 40 && repeats === 0 && taken.count > 0) {
          repeats += 1;
          block.setDirty(new Uint8Array(block.dirtyPages()).fill(0xff, 0, 1));
        }
        return taken;
      }) as RamBlock['takeDirty'],
    }));
    const violations = await violationsOf(parts, POSTCOPY);
    expect(violations).toContain('was sent, which the destination had or was sent');
  });

  test('a guest whose pages never come', async () => {
    const violations = await violationsOf(
      brokenRamAt('a', () => ({
        takeDirty: (() => ({ count: 0, next: 4096 })) as RamBlock['takeDirty'],
      })),
      { ...POSTCOPY, recovery: { connects: true, connectMs: 1, resumeMs: 3000 } },
    );
    expect(violations).toMatch(/waits for a page|it hangs|did not end/);
  });

  test('a source that goes on with the guest though its new process has no right to it', async () => {
    // The disk of the source forgets that it gave the guest away.
    const violations = await violationsOf(
      {
        ledger: (ledger, host): OwnershipLedger =>
          host.name !== 'a'
            ? ledger
            : {
                read: (uuid) => ledger.read(uuid),
                write: async (record) => {
                  if (record.state !== 'granting') await ledger.write(record);
                },
              },
      },
      {
        ...POSTCOPY,
        fault: {
          ...{ kind: 'kill', side: 'source', direction: 'to-source', at: 'PAGE_REQUEST' },
          ...{ restartMs: 1, boots: true },
        } as const,
        retry: false,
      },
    );
    expect(violations).toContain('a and b run the guest');
  });
});

describe('runHistory() sees of a journal and of operators', () => {
  /** The guest is whole at the destination when that dies, and an operator takes it back. */
  const lost: Partial<HistoryOptions> = {
    ...OPERATED,
    operator: 'takes-back',
    retry: false,
    parameters: { ...SMALL_HISTORY.parameters, ...OPERATED.parameters },
    fault: {
      ...({ kind: 'kill', side: 'destination', restartMs: 150, boots: false } as const),
      ...({ direction: 'to-source', at: 'ALL_RECEIVED' } as const),
    },
  };

  test('nothing when nothing is broken', async () => {
    const parts = brokenRamAt('a', () => ({}));
    const { violations, attempts } = await runHistory({ ...SMALL_HISTORY, ...lost, parts });
    expect(violations).toEqual([]);
    expect(attempts[0]?.outgoing.error?.code).toBe('E_TAKEN_BACK');
    expect(attempts[0]?.source.postcopy?.journal?.points).toBeGreaterThan(0);
  });

  test('a source that takes over half a point', async () => {
    let pages = 0;
    const parts = brokenRamAt('a', (block) => ({
      overwrite: (pfn, content) => {
        pages += 1;
        if (pages % 2 === 0) block.overwrite(pfn, content);
      },
    }));
    const violations = await violationsOf(parts, lost);
    expect(violations).toMatch(/a is not point 1: page \d+ differs/);
    expect(violations).toContain('took the guest back, and it is no point from');
  });

  test('a destination that leaves a page out of a point', async () => {
    let takes = 0;
    const parts = brokenRamAt('b', (block) => ({
      takeDirty: ((...args: Parameters<RamBlock['takeDirty']>) => {
        takes += 1;
        // A page of the first point.
        if (takes === 1) block.takeDirty(args[0], args[1] as never, 1 as never);
        return block.takeDirty(...args);
      }) as RamBlock['takeDirty'],
    }));
    const violations = await violationsOf(parts, lost);
    expect(violations).toMatch(/a is not point \d+: page \d+ differs/);
  });

  test('a destination that runs on when it has heard that the guest was taken back', async () => {
    const place = { direction: 'to-source', at: 'JOURNAL_POINT' } as const;
    const violations = await violationsOf(
      {
        machine: brokenAt('b', (machine) => ({
          pause: async (reason: PauseReason) => {
            if (reason !== 'ownership') await machine.pause(reason);
          },
        })),
        factory: (factory) => ({ ...factory, destroy: async () => {} }),
      },
      {
        ...lost,
        operator: 'takes-back-wrongly',
        fault: { kind: 'frame', fate: 'cut', ...place },
      },
    );
    expect(violations).toMatch(/b failed and still has a guest/);
  });
});
