import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextSleepRatio, sleepPercent } from '../../../src/source/dirty-limit/dirty-limit.ts';
import { DirtyLimiter } from '../../../src/source/index.ts';

describe('nextSleepRatio()', () => {
  test.each<[string, number, number, number, number]>([
    ['leaves a vCPU alone that keeps its limit', 0, 100, 100, 0],
    ['lets a tenth of a small limit pass', 0, 10, 11, 0],
    ['lets 25 MB/s of a large limit pass', 0, 1000, 1025, 0],
    ['and no more than that', 0, 1000, 1026, 0.1],
    ['answers a large error at once', 0, 10, 40, 3],
    ['adds to what there is', 3, 10, 40, 6],
    ['goes in small steps near the limit', 1, 100, 150, 1.1],
    ['lets go in small steps', 1, 100, 80, 0.9],
    ['lets go at once of a vCPU that is far below', 2, 100, 20, 0],
    ['lets go in a large step far below the limit', 3, 100, 40, 1.5],
    ['lets go of an idle vCPU step by step', 1.5, 10, 0, 0.5],
    ['never sleeps less than nothing', 0, 100, 1, 0],
    ['is at most 99 percent', 98, 1, 1000, 99],
  ])('nextSleepRatio() %s', (_, ratio, limit, current, expected) => {
    expect(nextSleepRatio(ratio, limit, current)).toBeCloseTo(expected, 9);
  });

  test('sleepPercent() is 0 to 99', () => {
    expect([0, 1, 3, 99, 1e9].map(sleepPercent)).toEqual([0, 50, 75, 99, 99]);
  });

  test('a vCPU that writes at any speed comes to within its limit, and goes free when it is slow', () => {
    const speed = fc.integer({ min: 1, max: 2000 });
    const limit = fc.integer({ min: 30, max: 1000 });
    fc.assert(
      fc.property(speed, limit, (speedMegabytes, limitMegabytes) => {
        let ratio = 0;
        for (let period = 0; period < 60; period += 1) {
          ratio = nextSleepRatio(ratio, limitMegabytes, speedMegabytes / (1 + ratio));
        }
        const current = speedMegabytes / (1 + ratio);
        const tolerance = Math.min(25, limitMegabytes / 10);
        // Near the limit a step may be wider than what is let pass.
        expect(current).toBeLessThanOrEqual(limitMegabytes * 1.1 + tolerance);
        if (speedMegabytes <= limitMegabytes) expect(ratio).toBe(0);
        // Not slowed much further than it has to be.
        else expect(current).toBeGreaterThan(limitMegabytes / 2.1);
        for (let period = 0; period < 2000; period += 1) {
          ratio = nextSleepRatio(ratio, limitMegabytes, 0.1 / (1 + ratio));
        }
        expect(ratio).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('DirtyLimiter', () => {
  const MEGABYTE_PAGES = 256;

  /** With a limit of 10 MB/s for each of so many vCPUs. */
  function limiterOf(vcpus: number): DirtyLimiter {
    const limiter = new DirtyLimiter();
    for (let vcpu = 0; vcpu < vcpus; vcpu += 1) limiter.set(vcpu, 10);
    return limiter;
  }

  test('slows only those vCPUs that are over their limits', () => {
    const limiter = limiterOf(2);
    limiter.note([40 * MEGABYTE_PAGES, 2 * MEGABYTE_PAGES, 99 * MEGABYTE_PAGES], 1000);
    expect([0, 1, 2].map((vcpu) => limiter.percent(vcpu))).toEqual([75, 0, 0]);
    expect(limiter.info()).toEqual([
      { vcpu: 0, limitMegabytesPerSecond: 10, currentMegabytesPerSecond: 40 },
      { vcpu: 1, limitMegabytesPerSecond: 10, currentMegabytesPerSecond: 2 },
    ]);
  });

  test('keeps what it knows when a limit changes, and forgets it when that is cancelled', () => {
    const limiter = limiterOf(1);
    limiter.note([40 * MEGABYTE_PAGES], 1000);
    limiter.set(0, 20);
    expect(limiter.percent(0)).toBe(75);
    limiter.cancel(0);
    expect(limiter.isIdle).toBe(true);
    expect(limiter.percent(0)).toBe(0);
    limiter.note([40 * MEGABYTE_PAGES], 1000);
    expect(limiter.info()).toEqual([]);
  });

  test('takes nothing from a period that took no time', () => {
    const limiter = limiterOf(1);
    limiter.note([MEGABYTE_PAGES], 0);
    expect(limiter.info()[0]?.currentMegabytesPerSecond).toBe(0);
  });
});
