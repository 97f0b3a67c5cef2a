import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import type { MachineState } from '../../../src/guestmem/index.ts';
import { EnginePair, type PairOptions, type PairResult } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, dirtyWholly, fillGuest } from '../../support/guest-script.ts';

const LINK = { bandwidthBytesPerSecond: 100e6, latencyMs: 0.1 };

/**
 * Dirty rounds at the ends of the first passes, and pages that are dirty when the guest is paused.
 */
const THREE_ROUNDS: PairOptions['sourceHooks'] = {
  beforeFlip: (machine, flip) => {
    if (flip === 2) dirtySparsely(machine, 1);
    if (flip === 3) dirtySparsely(machine, 2, 30);
    if (flip === 4) dirtySparsely(machine, 3, 20);
  },
  beforePause: (machine) => dirtySparsely(machine, 4, 10),
};

async function migrate(options: PairOptions): Promise<{ pair: EnginePair; result: PairResult }> {
  const pair = new EnginePair({ link: LINK, ...options });
  fillGuest(pair.machine);
  return { pair, result: await pair.run() };
}

function expectMigrated({ pair, result }: Awaited<ReturnType<typeof migrate>>): void {
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(result.destination.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(pair.runningMachines()).toEqual([pair.arrived]);
  expect([...pair.machine.reasons].sort()).toEqual(['migration', 'ownership']);
  expect(pair.arrived.loaded).toEqual(savedState(pair));
}

/** What the source saved: the number of flips is part of it. */
function savedState(pair: EnginePair): MachineState {
  const bytes = Uint8Array.from([1, 2, 3, pair.machine.flipCount]);
  return { sections: [{ name: 'vcpus', version: 1, bytes }] };
}

describe('pre-copy', () => {
  test('run() moves an idle guest, RAM equal byte by byte', async () => {
    const moved = await migrate({});
    expectMigrated(moved);
    expect(moved.result.sourceInfo.verify).toMatchObject({ status: 'identical', pages: 4096 });
    expect(moved.result.destinationInfo.verify).toMatchObject({ status: 'identical', pages: 4096 });
  });

  test.each([
    ['raw pages', {}],
    ['XBZRLE', { xbzrle: true }],
  ])('run() moves a guest that writes, in several rounds with %s', async (_, capabilities) => {
    const moved = await migrate({
      sourceHooks: THREE_ROUNDS,
      capabilities,
      // Only an empty bitmap, or the timeout, ends the passes.
      parameters: { downtimeLimitMs: 0 },
    });
    expectMigrated(moved);
    const { passes } = moved.result.sourceInfo;
    expect(passes.map(({ stopped }) => stopped)).toEqual([false, false, false, false, true]);
    expect(passes.slice(1).map(({ dirtyPages }) => dirtyPages)).toEqual([40, 30, 20, 10]);
  });

  test('run() sends a delta for what the first pass kept, from the first time on that it is sent again', async () => {
    const { result } = await migrate({
      sourceHooks: THREE_ROUNDS,
      capabilities: { xbzrle: true },
      parameters: { downtimeLimitMs: 0 },
    });
    const kinds = result.sourceInfo.passes.map((pass) => [
      pass.pass,
      pass.rawPages,
      pass.zeroPages,
      pass.xbzrlePages,
    ]);
    // The first pass has only begun to learn what is hot, and keeps what there is room for; 4096 -
    // 301 pages were never touched.
    const touchedZero = Math.floor((300 + 3) / 7);
    expect(kinds[0]).toEqual([1, 301 - touchedZero, 4096 - 301 + touchedZero, 0]);
    expect(kinds.slice(1)).toEqual([
      [2, 0, 0, 40],
      [3, 0, 0, 30],
      [4, 0, 0, 20],
      // The number of the stopped pass is that of its bitmap sync; the one before it only decided.
      [6, 0, 0, 10],
    ]);
    expect(result.sourceInfo.xbzrle).toMatchObject({ hitPages: 100, missPages: 0, primedPages: 0 });
  });

  test('run() sends pages whole when their deltas save nothing', async () => {
    const { result } = await migrate({
      capabilities: { xbzrle: true },
      parameters: { downtimeLimitMs: 0 },
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          if (flip === 2 || flip === 3) dirtyWholly(machine, flip, 12);
        },
      },
    });
    expect(result.source.status).toBe('completed');
    expect(result.sourceInfo.xbzrle?.overflowPages).toBe(24);
    expect(result.sourceInfo.pageKinds.xbzrle.pages).toBe(0);
  });

  test('run() does not send a page again that is as it was', async () => {
    const { pair, result } = await migrate({
      capabilities: { xbzrle: true },
      parameters: { downtimeLimitMs: 0 },
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          if (flip === 2 || flip === 3) dirtySparsely(machine, 1, 25);
        },
      },
    });
    expect(result.sourceInfo.pageKinds.unchanged).toEqual({ pages: 25, bytes: 0 });
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });

  test('run() never reads a page that was never touched', async () => {
    const moved = await migrate({});
    const { populatedBitmap, pageCount } = moved.pair.arrived.block(1).layout;
    const populated = moved.pair.arrived.block(1).kernels.countBits(populatedBitmap);
    expect(populated).toBeLessThan(pageCount / 10);
    // Not even the bytes that somebody put there behind the guest's back.
    const pair = new EnginePair({ link: LINK, parameters: { verify: 'off' } });
    fillGuest(pair.machine);
    pair.machine.block(1).ram[3000 * PAGE_BYTES] = 1;
    await pair.run();
    expect(pair.arrived.block(1).ram[3000 * PAGE_BYTES]).toBe(0);
  });

  test('run() in mode stop pauses first and sends everything once', async () => {
    const moved = await migrate({
      parameters: { mode: 'stop' },
      capabilities: { xbzrle: true },
      sourceHooks: { beforePause: (machine) => dirtySparsely(machine, 1) },
    });
    expectMigrated(moved);
    const { passes, mode } = moved.result.sourceInfo;
    expect(mode).toBe('stop');
    expect(passes).toHaveLength(1);
    expect(passes[0]).toMatchObject({ stopped: true, dirtyPages: 301, sentPages: 4096 });
    expect(moved.pair.frames['a-to-b'].filter((name) => name === 'PASS_BEGIN')).toHaveLength(1);
  });

  test('run() leaves the guest paused when the destination is to start paused', async () => {
    const { pair, result } = await migrate({ startPaused: true });
    expect(result.source.status).toBe('completed');
    expect([...pair.arrived.reasons]).toEqual(['operator']);
    expect(result.sourceInfo.guestDowntimeUs).toBeUndefined();
    expect(pair.runningMachines()).toEqual([]);
  });

  test('run() leaves a guest paused that an operator had stopped before the migration', async () => {
    const pair = new EnginePair({ link: LINK });
    fillGuest(pair.machine);
    await pair.machine.pause('operator');
    const result = await pair.run();
    expect(result.source.status).toBe('completed');
    expect([...pair.arrived.reasons]).toEqual(['operator']);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
    expect(pair.runningMachines()).toEqual([]);
  });

  test('run() tells the downtime that the guest saw, and parts that add up', async () => {
    const { result } = await migrate({
      sourceHooks: THREE_ROUNDS,
      link: { ...LINK, latencyMs: 2 },
    });
    const { downtimeMs, downtimeParts, guestDowntimeUs } = result.sourceInfo;
    const sum = Object.values(downtimeParts).reduce((total, ms) => total + ms, 0);
    expect(downtimeMs).toBeCloseTo(sum, 6);
    // Two round trips of 4 ms lie between pause and RESUMED.
    expect(downtimeMs).toBeGreaterThanOrEqual(8);
    expect(guestDowntimeUs! / 1000).toBeGreaterThan(4);
    expect(guestDowntimeUs! / 1000).toBeLessThan(downtimeMs!);
    expect(result.destinationInfo.guestDowntimeUs).toBe(guestDowntimeUs);
  });

  test('run() takes the guest on to a third side', async () => {
    const first = await migrate({ sourceHooks: THREE_ROUNDS, capabilities: { xbzrle: true } });
    const { pair } = first;
    const arrived = pair.arrived;
    dirtySparsely(arrived, 9);
    const second = new EnginePair({
      clock: pair.clock,
      source: arrived,
      sourceLedger: pair.destinationLedger,
      link: LINK,
      capabilities: { xbzrle: true },
    });
    const result = await second.run();
    expect(result.source.status).toBe('completed');
    expect(ramDifferences(arrived.memory, second.arrived.memory)).toEqual([]);
    expect(second.runningMachines()).toEqual([second.arrived]);
    expect(result.destinationInfo.epoch).toBe(3);
    expect(second.destinationLedger.read(arrived.description.uuid)).toMatchObject({
      state: 'owner',
      epoch: 3,
    });
  });

  test('run() comes back to a side that gave the guest away', async () => {
    const { pair } = await migrate({});
    const back = new EnginePair({
      clock: pair.clock,
      source: pair.arrived,
      sourceLedger: pair.destinationLedger,
      destinationLedger: pair.sourceLedger,
      link: LINK,
    });
    const result = await back.run();
    expect(result.source.status).toBe('completed');
    expect(pair.sourceLedger.read(pair.machine.description.uuid)).toMatchObject({
      state: 'owner',
      epoch: 3,
    });
  });

  test('run() is the same history twice', async () => {
    const runOnce = async () => {
      const { pair, result } = await migrate({
        sourceHooks: THREE_ROUNDS,
        capabilities: { xbzrle: true },
        parameters: { downtimeLimitMs: 0 },
      });
      return { ...pair.frames, info: result.sourceInfo, endMs: pair.clock.nowMs() };
    };
    expect(await runOnce()).toEqual(await runOnce());
  });
});
