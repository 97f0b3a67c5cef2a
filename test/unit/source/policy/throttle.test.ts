import { describe, expect, test } from 'vitest';
import type { PolicyPass, PolicyRound } from '../../../../src/source/index.ts';
import { nextThrottle } from '../../../../src/source/policy/throttle.ts';
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
