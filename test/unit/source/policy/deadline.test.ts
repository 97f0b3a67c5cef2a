import { describe, expect, test } from 'vitest';
import type { PolicyLimits, PolicyRound } from '../../../../src/source/index.ts';
import { autoPolicy } from '../../../../src/source/policy/auto.ts';
import { qemuPolicy } from '../../../../src/source/policy/qemu.ts';
import { svardPolicy } from '../../../../src/source/policy/svard.ts';
import { postcopyInMs, withinDeadline } from '../../../../src/source/policy/user-rules.ts';
import { NO_LIMITS, policyPass, ROUND } from '../../../support/policy-model.ts';

const DEADLINE: PolicyLimits = {
  ...NO_LIMITS,
  timeoutMs: 2000,
  timeoutAction: 'postcopy',
  allows: { throttle: false, postcopy: true, suspend: false, cancel: false },
};

/** 1 s has passed. 100 pages remain: 411.2 ms, and 5 ms for the switch. */
function at(change: Partial<PolicyRound> = {}, limits: Partial<PolicyLimits> = {}): PolicyRound {
  return { ...ROUND, ...change, limits: { ...DEADLINE, ...limits } };
}

describe('postcopyInMs()', () => {
  test.each<[string, Partial<PolicyRound>, Partial<PolicyLimits>, number | undefined]>([
    ['leaves the time that the missing pages take', {}, {}, 1000 - 416.2],
    ['takes deltas for whole pages', { wireBytesPerPage: 60 }, {}, 1000 - 416.2],
    ['counts what is in flight', { inFlightBytes: 100_000 }, {}, 1000 - 516.2],
    [
      'goes by the limit of post-copy',
      {},
      { maxPostcopyBandwidthBytesPerSecond: 500_000 },
      1000 - 822.4 - 5,
    ],
    [
      'goes by the link where that is slower',
      {},
      { maxPostcopyBandwidthBytesPerSecond: 5e6 },
      1000 - 416.2,
    ],
    [
      'counts what the guest will have dirtied',
      { history: [policyPass({ dirtyPages: 1000, dirtiedPages: 200, durationMs: 411.2 })] },
      {},
      // At 200 of 200 pages in 411 ms it has written nearly all of them again.
      1000 - 200 * 0.95 * 4.112 - 5,
    ],
    ['is over when it is', { elapsedMs: 3000 }, {}, -1000 - 416.2],
    ['leaves all where nothing was measured', { linkBytesPerMs: undefined }, {}, 1000],
    ['knows none without a timeout', {}, { timeoutMs: 0 }, undefined],
    ['knows none with another action', {}, { timeoutAction: 'suspend' }, undefined],
  ])('%s', (_, change, limits, expected) => {
    const ms = postcopyInMs(at(change, limits));
    if (expected === undefined) expect(ms).toBeUndefined();
    else expect(ms).toBeCloseTo(expected, 6);
  });
});

describe.each([autoPolicy, qemuPolicy, svardPolicy])('$name with a deadline', (policy) => {
  const decide = (round: PolicyRound) => withinDeadline(round, policy.decide(round));

  test('goes on until post-copy must begin', () => {
    const decision = decide(at());
    expect(decision).toMatchObject({ action: 'iterate' });
    expect((decision as { passMsMax?: number }).passMsMax).toBeCloseTo(1000 - 416.2, 6);
  });

  test('begins it then', () => {
    const postcopy = { action: 'postcopy', reason: 'timeout' };
    expect(decide(at({ elapsedMs: 2000 - 421.3 }))).toMatchObject({ action: 'iterate' });
    expect(decide(at({ elapsedMs: 2000 - 421.1 }))).toEqual(postcopy);
    expect(decide(at({ elapsedMs: 5000 }))).toEqual(postcopy);
  });

  test('pauses a guest that converges all the same', () => {
    expect(decide(at({ elapsedMs: 5000, remainingPages: 1 }))).toMatchObject({
      action: 'stop-and-copy',
      reason: 'converged',
    });
  });
});

test('withinDeadline() keeps a pass shorter that a policy wants shorter', () => {
  expect(withinDeadline(at(), { action: 'iterate', passMsMax: 50 })).toMatchObject({
    passMsMax: 50,
  });
});
