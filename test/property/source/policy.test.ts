import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { POLICY_NAMES } from '../../../src/base/index.ts';
import {
  builtInPolicy,
  checkDecision,
  diagnose,
  type PolicyPass,
  type PolicyRound,
} from '../../../src/source/index.ts';
import { AUTO_CONVERGE, NO_LIMITS, policyPass, ROUND } from '../../support/policy-model.ts';

const pages = fc.integer({ min: 0, max: 1_000_000 });
/** 0, or what a clock or a counter could tell. */
const positive = (max: number) =>
  fc.oneof(fc.constant(0), fc.double({ min: 0.001, max, noNaN: true }));
const ms = positive(1e6);
const percent = fc.integer({ min: 0, max: 99 });

const passes: fc.Arbitrary<readonly PolicyPass[]> = fc.array(
  fc
    .record({
      dirtyPages: pages,
      dirtiedPages: pages,
      wireBytes: fc.integer({ min: 0, max: 2 ** 40 }),
      durationMs: ms,
      encodeMs: ms,
      throttlePercent: percent,
    })
    .map((change) => policyPass(change)),
  { maxLength: 12 },
);

const limits = fc.record({
  downtimeLimitMs: fc.integer({ min: 0, max: 2_000_000 }),
  timeoutMs: fc.constantFrom(0, 1, 1000, 1e9),
  timeoutAction: fc.constantFrom('suspend' as const, 'cancel' as const),
  maxBandwidthBytesPerSecond: fc.constantFrom(0, 1, 1e6, 1e9),
  availSwitchoverBandwidthBytesPerSecond: fc.constantFrom(0, 1, 1e9),
  hybrid: fc.constantFrom(undefined, { afterPasses: 3, plateau: true }),
  throttle: fc.boolean(),
});

/** Anything that an engine could tell, and much that it could not. */
const rounds: fc.Arbitrary<PolicyRound> = fc
  .record({
    pass: fc.integer({ min: 1, max: 5000 }),
    remainingPages: pages,
    lastRemainingPages: fc.option(pages, { nil: undefined }),
    inFlightBytes: fc.integer({ min: 0, max: 2 ** 30 }),
    wireBytesPerPage: positive(5000),
    encodeMsPerPage: positive(10),
    linkBytesPerMs: fc.option(positive(1e7), { nil: undefined }),
    windowBytesPerMs: fc.option(positive(1e7), { nil: undefined }),
    elapsedMs: ms,
    sentBytes: fc.integer({ min: 0, max: 2 ** 45 }),
    history: passes,
    throttlePercent: percent,
    limits,
  })
  .map(({ limits: { throttle, ...change }, ...round }) => ({
    ...ROUND,
    ...round,
    limits: {
      ...NO_LIMITS,
      ...change,
      autoConverge: throttle ? AUTO_CONVERGE : undefined,
      allows: {
        throttle,
        postcopy: change.hybrid !== undefined,
        suspend: change.timeoutAction === 'suspend',
        cancel: change.timeoutAction === 'cancel',
      },
    },
  }));

describe.each(POLICY_NAMES)('policy %s', (name) => {
  const policy = builtInPolicy(name)!;
  const holds = (check: (round: PolicyRound) => void) =>
    fc.assert(fc.property(rounds, check), { numRuns: 500 });

  test('never decides what the user does not allow, or what is no decision', () => {
    holds((round) => {
      const checked = checkDecision(policy.decide(round), round.limits.allows);
      expect(checked).toMatchObject({ ok: true });
    });
  });

  test('never gives up without a timeout that is over', () => {
    holds((round) => {
      const { timeoutMs, timeoutAction } = round.limits;
      if (policy.decide(round).action !== 'give-up') return;
      expect(timeoutMs).toBeGreaterThan(0);
      expect(round.elapsedMs).toBeGreaterThanOrEqual(timeoutMs);
      expect(timeoutAction).toBe('cancel');
    });
  });

  test('never goes on when nothing remains', () => {
    holds((round) => {
      const decision = policy.decide({ ...round, remainingPages: 0 });
      expect(decision.action).not.toBe('iterate');
    });
  });

  test('never goes on when the timeout is over', () => {
    holds((round) => {
      const { timeoutMs } = round.limits;
      if (timeoutMs === 0 || round.elapsedMs < timeoutMs) return;
      expect(policy.decide(round).action).not.toBe('iterate');
    });
  });

  test('says the same of the same', () => {
    holds((round) => {
      expect(policy.decide(round)).toEqual(policy.decide(structuredClone(round)));
    });
  });

  test('keeps the throttle in its range, and begins with no more than the first step', () => {
    holds((round) => {
      const decision = policy.decide({ ...round, throttlePercent: 0, history: round.history });
      if (decision.action !== 'iterate') return;
      expect(decision.throttlePercent ?? 0).toBeLessThanOrEqual(AUTO_CONVERGE.maxPercent);
    });
  });
});

describe('diagnose()', () => {
  test('has figures that can be shown, whatever it is told', () => {
    fc.assert(
      fc.property(rounds, (round) => {
        const { advice, ...diagnosis } = diagnose(round);
        const numbers = [...Object.values(diagnosis), ...advice.flatMap(Object.values)].filter(
          (value) => typeof value === 'number',
        );
        expect(numbers.filter((value) => !(value >= 0) || value === Infinity)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});
