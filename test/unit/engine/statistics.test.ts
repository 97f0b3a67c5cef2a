import { describe, expect, test } from 'vitest';
import { type MigrationInfo, PAGE_BYTES } from '../../../src/base/index.ts';
import { EnginePair, type PairOptions, type PairResult } from '../../support/engine-pair.ts';
import { dirtySparsely, dirtyWholly, fillGuest } from '../../support/guest-script.ts';

/** Deltas, whole pages, unchanged ones and cleared ones, in three passes and while paused. */
const OPTIONS: PairOptions = {
  link: { bandwidthBytesPerSecond: 100e6, latencyMs: 0.2 },
  capabilities: { xbzrle: true },
  parameters: { downtimeLimitMs: 0 },
  sourceHooks: {
    beforeFlip: (machine, flip) => {
      if (flip === 2 || flip === 3) dirtySparsely(machine, 1, 30);
      if (flip === 3) dirtyWholly(machine, 3, 5);
      if (flip === 3) machine.write(1, 64 + 50, 0, new Uint8Array(PAGE_BYTES));
      if (flip === 4) dirtySparsely(machine, 4, 35);
    },
    beforePause: (machine) => dirtySparsely(machine, 5, 12),
  },
};

async function migrate(): Promise<{ pair: EnginePair; result: PairResult }> {
  const pair = new EnginePair(OPTIONS);
  fillGuest(pair.machine);
  const result = await pair.run();
  expect(result.source.status).toBe('completed');
  return { pair, result };
}

function sumOf(info: MigrationInfo, key: keyof MigrationInfo['passes'][number]): number {
  return info.passes.reduce((sum, pass) => sum + Number(pass[key]), 0);
}

describe('statistics against what really was on the wire', () => {
  test('transferred bytes are those of the channel, on both sides', async () => {
    const { pair, result } = await migrate();
    const { sourceInfo, destinationInfo } = result;
    expect(sourceInfo.ram.transferredBytes).toBe(pair.sourceChannel.sentBytes);
    expect(destinationInfo.ram.transferredBytes).toBe(pair.destinationChannel.receivedBytes);
    expect(pair.destinationChannel.receivedBytes).toBe(pair.sourceChannel.sentBytes);
    const { precopyBytes, downtimeBytes, transferredBytes } = sourceInfo.ram;
    // The comparison of the RAM follows GRANT, and the guest does not wait for it.
    expect(precopyBytes + downtimeBytes).toBeLessThan(transferredBytes);
    expect(destinationInfo.ram.precopyBytes + destinationInfo.ram.downtimeBytes).toBe(
      precopyBytes + downtimeBytes,
    );
    expect(precopyBytes).toBeGreaterThan(250 * PAGE_BYTES);
  });

  test('pages by kind are those in the tables of the frames, on both sides', async () => {
    const { pair, result } = await migrate();
    const { truth } = pair.sourceChannel;
    const wire = {
      zero: { pages: truth.zeroPages, bytes: truth.zeroRuns * 16 },
      raw: { pages: truth.rawPages, bytes: truth.rawPages * (PAGE_BYTES + 16) },
      xbzrle: { pages: truth.xbzrlePages, bytes: truth.xbzrleBytes + truth.xbzrlePages * 16 },
      lz4: { pages: 0, bytes: 0 },
      'lz4-xbzrle': { pages: 0, bytes: 0 },
    };
    const { unchanged, ...source } = result.sourceInfo.pageKinds;
    expect(source).toEqual(wire);
    expect(unchanged.pages).toBeGreaterThan(0);
    expect(truth.xbzrlePages).toBeGreaterThan(0);
    const { unchanged: none, ...arrived } = result.destinationInfo.pageKinds;
    expect(arrived).toEqual(wire);
    expect(none.pages).toBe(0);
    expect(result.sourceInfo.ram).toMatchObject({
      normalPages: truth.rawPages,
      zeroPages: truth.zeroPages,
    });
  });

  test('pass records add up to the totals', async () => {
    const { pair, result } = await migrate();
    const { sourceInfo: info } = result;
    const { truth } = pair.sourceChannel;
    expect(sumOf(info, 'rawPages')).toBe(truth.rawPages);
    expect(sumOf(info, 'zeroPages')).toBe(truth.zeroPages);
    expect(sumOf(info, 'xbzrlePages')).toBe(truth.xbzrlePages);
    expect(sumOf(info, 'unchangedPages')).toBe(info.pageKinds.unchanged.pages);
    expect(sumOf(info, 'sentBytes')).toBe(truth.batchBytes);
    expect(sumOf(info, 'sentPages')).toBe(truth.rawPages + truth.zeroPages + truth.xbzrlePages);
  });

  test('each pass handles exactly the pages that were dirty when it began', async () => {
    const { result } = await migrate();
    const handled = result.sourceInfo.passes.map((pass) => pass.sentPages + pass.unchangedPages);
    const dirty = result.sourceInfo.passes.map((pass) => pass.dirtyPages);
    // The first pass also tells of all pages that never held anything.
    expect(handled[0]).toBe(4096);
    expect(handled.slice(1)).toEqual(dirty.slice(1));
    const dirtied = result.sourceInfo.passes.map((pass) => pass.dirtiedPages);
    expect(dirtied.slice(0, 2)).toEqual(dirty.slice(1, 3));
  });

  test('passes lie one behind the other in time, and rates follow from their figures', async () => {
    const { result } = await migrate();
    let endMs = 5000;
    for (const pass of result.sourceInfo.passes) {
      expect(pass.startMs).toBeGreaterThanOrEqual(endMs);
      endMs = pass.startMs + pass.durationMs;
      const handledBytes = (pass.sentPages + pass.unchangedPages) * PAGE_BYTES;
      if (pass.durationMs > 0) {
        const rate = (handledBytes * 1000) / pass.durationMs;
        expect(pass.effectiveBytesPerSecond).toBeCloseTo(rate, 3);
      }
    }
    const { totalTimeMs, setupTimeMs, activeTimeMs, downtimeMs } = result.sourceInfo;
    expect(activeTimeMs).toBeCloseTo(totalTimeMs - setupTimeMs - downtimeMs!, 6);
  });

  test('what is published never goes backwards and never has more than there is', async () => {
    const { pair } = await migrate();
    let before = pair.published[0]!;
    for (const info of pair.published) {
      expect(info.ram.remainingBytes).toBeGreaterThanOrEqual(0);
      expect(info.ram.remainingBytes).toBeLessThanOrEqual(info.ram.totalBytes);
      expect(info.ram.transferredBytes).toBeGreaterThanOrEqual(before.ram.transferredBytes);
      expect(info.ram.dirtySyncCount).toBeGreaterThanOrEqual(before.ram.dirtySyncCount);
      expect(info.totalTimeMs).toBeGreaterThanOrEqual(before.totalTimeMs);
      before = info;
    }
    const statuses = pair.published.map(({ status }) => status);
    expect(statuses.filter((status, index) => status !== statuses[index - 1])).toEqual([
      'setup',
      'active',
      'device',
      'completed',
    ]);
    expect(before.ram.remainingBytes).toBe(0);
  });
});
