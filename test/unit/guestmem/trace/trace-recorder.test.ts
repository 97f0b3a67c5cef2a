import { expect, test } from 'vitest';
import { Random, SimClock } from '../../../../src/base/index.ts';
import { SimMachine } from '../../../../src/guest/index.ts';
import { decodeTrace, recordTrace } from '../../../../src/guestmem/index.ts';

const INTERVAL_MS = 50;

/** Writes `sets[i]` in the i-th interval, and records that. */
async function record(sets: readonly (readonly number[])[], spanMs: number | undefined) {
  const clock = new SimClock();
  const machine = SimMachine.create({ clock, blockPages: [100, 60], vcpuCount: 2 });
  for (let pfn = 0; pfn < 120; pfn += 1) machine.write(pfn);
  const ending = new AbortController();
  const pieces: Uint8Array[] = [];
  const settings = { intervalMs: INTERVAL_MS, spanMs };
  const recording = recordTrace(machine, settings, clock, new Random(5), ending.signal, (bytes) =>
    pieces.push(Uint8Array.from(bytes)),
  );
  const writing = (async () => {
    await clock.sleep(INTERVAL_MS / 2);
    for (const set of sets) {
      for (const pfn of set) machine.write(pfn);
      await clock.sleep(INTERVAL_MS);
    }
    ending.abort();
  })();
  await clock.runUntil(Promise.all([recording, writing]));
  const file = Buffer.concat(pieces);
  return { machine, file, summary: await recording, trace: decodeTrace(file) };
}

test('a recording tells which pages were dirtied in which interval', async () => {
  const sets = [[1, 2, 3], [], [99, 100, 101, 159], [3]];
  const { trace, summary, file } = await record(sets, sets.length * INTERVAL_MS);
  expect(trace.intervals.map(({ pages }) => [...pages])).toEqual(sets);
  expect(trace.intervals.every(({ spanMs }) => spanMs === INTERVAL_MS)).toBe(true);
  // A guest of the simulator never waits.
  expect(trace.intervals.every(({ busyShare }) => busyShare === 1)).toBe(true);
  expect(trace.header).toMatchObject({ vcpuCount: 2, intervalMs: INTERVAL_MS, workload: '' });
  expect(summary).toEqual({
    intervals: 4,
    spanMs: 4 * INTERVAL_MS,
    dirtiedPages: 8,
    fileBytes: file.length,
  });
});

test('it tells what had been written before, and what lies there', async () => {
  const { trace } = await record([[150]], INTERVAL_MS);
  const isPopulated = (pfn: number) => ((trace.populated[pfn >> 3] as number) >> (pfn & 7)) & 1;
  expect([0, 119, 120, 159].map(isPopulated)).toEqual([1, 1, 0, 0]);
  expect(trace.contents.length).toBeGreaterThan(50);
  expect(trace.contents.every(({ pfn }) => pfn < 120)).toBe(true);
});

test('one that is ended early is whole', async () => {
  const { trace } = await record([[1], [2], [3]], undefined);
  expect(trace.intervals.slice(0, 3).map(({ pages }) => [...pages])).toEqual([[1], [2], [3]]);
});

test('changes are told of pages that were written again, by their lag', async () => {
  const sets = Array.from({ length: 12 }, (_, interval) => (interval % 3 === 0 ? [5, 6, 105] : []));
  const { trace } = await record(sets, sets.length * INTERVAL_MS);
  const changes = trace.intervals.flatMap((interval) => interval.changes);
  expect(new Set(changes.map(({ pfn }) => pfn)).size).toBeGreaterThan(0);
  for (const { pfn, lag, changedBytes, xbzrleBytes } of changes) {
    expect([5, 6, 105]).toContain(pfn);
    expect(lag % 3).toBe(0);
    expect(xbzrleBytes > 0).toBe(changedBytes > 0);
  }
});
