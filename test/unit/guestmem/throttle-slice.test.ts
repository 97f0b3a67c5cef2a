import { describe, expect, test } from 'vitest';
import { throttleSlice } from '../../../src/guestmem/index.ts';

const SLICE_MS = 0.2;

/** A vCPU that runs slices and sleeps as it is told, for `totalMs`. */
function run(percent: number, totalMs: number, ranMs = SLICE_MS) {
  let debt = 0;
  let ran = 0;
  const sleeps: number[] = [];
  for (let nowMs = 0; nowMs < totalMs; ) {
    ran += ranMs;
    const slice = throttleSlice(debt, ranMs, percent);
    debt = slice.debtMs - slice.sleepMs;
    if (slice.sleepMs > 0) sleeps.push(slice.sleepMs);
    nowMs += ranMs + slice.sleepMs;
  }
  const slept = sleeps.reduce((sum, ms) => sum + ms, 0);
  return { share: slept / (slept + ran), sleeps, debt };
}

describe('throttleSlice()', () => {
  test.each([1, 10, 20, 50, 75, 90, 97])('at %d percent a vCPU sleeps that share', (percent) => {
    expect(run(percent, 10_000).share * 100).toBeCloseTo(percent, 0);
  });

  test.each([20, 50, 90, 99])('at %d percent no sleep is longer than 10 ms', (percent) => {
    for (const ranMs of [SLICE_MS, 3, 50]) {
      const { sleeps } = run(percent, 5000, ranMs);
      expect(Math.max(...sleeps)).toBeLessThanOrEqual(10);
      expect(Math.min(...sleeps)).toBeGreaterThanOrEqual(1);
    }
  });

  test('at 99 percent a slice goes between two sleeps, and no debt piles up', () => {
    const { share, debt } = run(99, 60_000);
    expect(share).toBeGreaterThan(0.975);
    expect(debt).toBeLessThanOrEqual(100);
  });

  test('a throttle that is lower pays off what is owed within a tenth of a second', () => {
    const { debt } = run(99, 60_000);
    expect(throttleSlice(debt, SLICE_MS, 10).debtMs).toBeLessThanOrEqual(100);
  });

  test('without a throttle nothing is owed any more', () => {
    expect(throttleSlice(80, SLICE_MS, 0)).toEqual({ sleepMs: 0, debtMs: 0 });
  });
});
