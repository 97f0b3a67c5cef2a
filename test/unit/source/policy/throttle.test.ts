import { describe, expect, test } from 'vitest';
import type { PolicyPass, PolicyRound } from '../../../../src/source/index.ts';
import {
  busyShareOf,
  guestSpeed,
  nextThrottle,
  rampMs,
  throttleFor,
} from '../../../../src/source/policy/throttle.ts';
import { AUTO_CONVERGE, policyPass, ROUND } from '../../../support/policy-model.ts';

/** `count` passes of 1000 pages that left `share` of that. */
function passes(count: number, share: number, throttlePercent = 0, ms = 500): PolicyPass[] {
  return Array.from({ length: count }, () =>
    policyPass({
      dirtyPages: 1000,
      dirtiedPages: Math.round(1000 * share),
      durationMs: ms,
      wireBytes: ms * 1000,
      throttlePercent,
    }),
  );
}

const at = (throttlePercent: number, history: PolicyPass[]): PolicyRound => ({
  ...ROUND,
  throttlePercent,
  history,
});

/** Kept to their least duration: a hundredth of that was spent on pages. */
const idle = passes(100, 1, 0, 5).map((pass) => ({ ...pass, wireBytes: 50 }));

describe('nextThrottle()', () => {
  test.each<[string, number, PolicyRound, Partial<typeof AUTO_CONVERGE>]>([
    ['leaves a guest alone that leaves half', 0, at(0, passes(4, 0.5)), {}],
    ['begins when more is left', 20, at(0, passes(2, 0.51)), {}],
    ['waits for a second pass', 0, at(0, passes(1, 1)), {}],
    ['does not wait after a long pass', 20, at(0, passes(1, 1, 0, 1000)), {}],
    ['waits while passes are short', 0, at(0, passes(10, 1, 0, 10)), {}],
    ['steps on', 30, at(20, passes(2, 0.9, 20)), {}],
    [
      'waits for passes at the new throttle',
      30,
      at(30, [...passes(9, 1, 20), ...passes(1, 1, 30)]),
      {},
    ],
    ['takes one burst for nothing', 20, at(20, [...passes(1, 0.4, 20), ...passes(1, 1, 20)]), {}],
    ['has its ceiling', 45, at(40, passes(2, 1, 40)), { maxPercent: 45 }],
    ['steps down when the guest could be faster', 40, at(50, passes(2, 0.2, 50)), {}],
    ['keeps what it needs', 50, at(50, passes(2, 0.4, 50)), {}],
    ['goes from the first step to none', 0, at(20, passes(2, 0.1, 20)), {}],
    ['does not count passes in which little was left to send', 0, at(0, idle), {}],
    [
      'makes only the step that it needs with tailslow',
      22,
      at(20, passes(2, 0.51, 20)),
      { tailslow: true },
    ],
    ['makes no longer step with tailslow', 30, at(20, passes(2, 1, 20)), { tailslow: true }],
  ])('nextThrottle() %s', (_, expected, round, limits) => {
    expect(nextThrottle(round, { ...AUTO_CONVERGE, ...limits })).toBe(expected);
  });
});

describe('A guest whose vCPU waits for four fifths of its time', () => {
  const BUSY_SHARE = 0.2;
  const quiet = (throttlePercent: number, busyShare: number, left = 1) =>
    passes(2, left, throttlePercent).map((pass) => ({ ...pass, busyShare }));

  test.each([
    [0, 1],
    [50, 1],
    [80, 1],
    [90, 0.5],
    [98, 0.1],
    [99, 0.1],
  ])('under a throttle of %i percent keeps %f of its speed', (percent, speed) => {
    expect(guestSpeed(percent, BUSY_SHARE)).toBeCloseTo(speed, 9);
    if (speed < 1 && percent < 99) expect(throttleFor(speed, BUSY_SHARE)).toBeCloseTo(percent, 9);
  });

  test('shows its share while it is not slowed, and a higher one later', () => {
    expect(busyShareOf(quiet(0, 0.2))).toBe(0.2);
    expect(busyShareOf([...quiet(0, 0.2), ...quiet(90, 0.1)])).toBe(0.2);
    expect(busyShareOf([...quiet(0, 0.2), ...quiet(30, 0.6)])).toBe(0.6);
    expect(busyShareOf([...quiet(0, 0.9), ...quiet(0, 0.2)])).toBe(0.2);
    expect(busyShareOf(quiet(20, 0.2))).toBe(1);
    expect(busyShareOf([])).toBe(1);
  });

  test('is stepped down while that makes it no faster', () => {
    const limits = { ...AUTO_CONVERGE, triggerPercent: 50 };
    const history = [...quiet(0, BUSY_SHARE), ...quiet(60, BUSY_SHARE, 0.39)];
    expect(nextThrottle(at(60, history), limits)).toBe(50);
  });

  test('is stepped with tailslow to where it gets slower', () => {
    const limits = { ...AUTO_CONVERGE, incrementPercent: 50, tailslow: true };
    const history = [...quiet(0, BUSY_SHARE), ...quiet(60, BUSY_SHARE)];
    // Half of its speed.
    expect(nextThrottle(at(60, history), limits)).toBe(90);
  });
});

test.each([
  [20, 100, 0],
  [30, 100, 250],
  [30, 200, 400],
  [95, 500, 8000],
  [40, 2000, 4000],
])('rampMs() to %i percent in passes of %i ms', (percent, passMs, expected) => {
  expect(rampMs(percent, passMs)).toBe(expected);
});
