import { describe, expect, test } from 'vitest';
import type { MigrationParameters } from '../../../src/base/index.ts';
import { EnginePair } from '../../support/engine-pair.ts';
import { type FakeMachine, ramDifferences } from '../../support/fake-machine.ts';
import { pageOfNoise } from '../../support/guest-script.ts';

const START_MS = 5000;
const LINK_BYTES_PER_SECOND = 12.5e6;
const LATENCY_MS = 0.1;
const LIMIT_MS = 30;
/** 1 s of the link. */
const PAGES = 3000;
const BLOCK = 1;

/**
 * The link goes on bringing bytes while the receiver is busy with something else for `busyMs` of
 * each `everyMs`: they wait in its buffer, and are read all at once.
 */
function receiverBusy(busyMs: number, everyMs: number, untilMs: number) {
  return (nowMs: number) => {
    const elapsedMs = nowMs - START_MS;
    const leftMs = busyMs - (elapsedMs % everyMs);
    return elapsedMs < untilMs && leftMs > 0 ? leftMs + LATENCY_MS : LATENCY_MS;
  };
}

/** How many pages the guest writes before each sync, by the time since the migration began. */
type Guest = (elapsedMs: number) => number;

function fill(machine: FakeMachine, pages: number, seed: number): void {
  for (let pfn = 0; pfn < pages; pfn += 1) {
    machine.write(BLOCK, pfn, 0, pageOfNoise(seed * PAGES + pfn));
  }
}

async function migrate(
  guest: Guest,
  latencyMs: number | ((nowMs: number) => number),
  parameters: Partial<MigrationParameters>,
) {
  const write = (machine: FakeMachine, seed: number) =>
    fill(machine, guest(pair.clock.nowMs() - START_MS), seed);
  const pair: EnginePair = new EnginePair({
    link: { bandwidthBytesPerSecond: LINK_BYTES_PER_SECOND, latencyMs },
    parameters: { downtimeLimitMs: LIMIT_MS, reorder: 'off', timeoutMs: 20_000, ...parameters },
    sourceHooks: { beforeFlip: (machine, flip) => flip > 1 && write(machine, flip) },
  });
  fill(pair.machine, PAGES, 0);
  const result = await pair.run();
  expect(result.source.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  return result.sourceInfo;
}

describe('downtime-limit', () => {
  test.each(['auto', 'qemu', 'svard'])(
    '%s keeps it where the receiver was busy now and then',
    async (policy) => {
      // 250 pages are 82 ms of this link.
      const info = await migrate(
        (elapsedMs) => (elapsedMs < 1500 ? 250 : 20),
        receiverBusy(60, 200, 1000),
        { policy },
      );
      expect(info.policy?.lastDecision?.reason).toBe('converged');
      expect(info.downtimeMs).toBeLessThan(LIMIT_MS);
    },
  );

  test.each(['auto', 'qemu', 'svard'])(
    '%s lets what is under way drain to a guest whose few pages are always dirty',
    async (policy) => {
      // 18 ms of this link. A pass of them leaves 13 ms more under way, behind which they would go.
      const info = await migrate(() => 55, LATENCY_MS, { policy });
      expect(info.policy?.lastDecision?.reason).toBe('converged');
      expect(info.downtimeMs).toBeLessThan(LIMIT_MS);
    },
  );
});
