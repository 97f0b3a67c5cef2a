import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import type { PolicyLimits, PolicyRound } from '../../../../src/source/index.ts';
import { CLARK, clarkPolicy } from '../../../../src/source/policy/clark.ts';
import { qemuPolicy, qemuThrottle } from '../../../../src/source/policy/qemu.ts';
import { svardPolicy } from '../../../../src/source/policy/svard.ts';
import {
  AUTO_CONVERGE,
  NO_LIMITS,
  policyPass,
  ROUND,
  runModel,
} from '../../../support/policy-model.ts';

function decide(
  policy: typeof qemuPolicy,
  change: Partial<PolicyRound> = {},
  limits: Partial<PolicyLimits> = {},
) {
  return policy.decide({ ...ROUND, ...change, limits: { ...NO_LIMITS, ...limits } });
}

describe('clarkPolicy', () => {
  const MBIT = 1e6 / 8;
  /** `pages` were dirtied in one second. */
  const dirtied = (pages: number) => ({
    remainingPages: 5000,
    ramPages: 100_000,
    history: [policyPass({ dirtyPages: 100_000, dirtiedPages: pages, durationMs: 1000 })],
  });

  test('begins at the lowest rate, 100 Mbit/s', () => {
    const start = { ramPages: 1000, limits: NO_LIMITS };
    expect(clarkPolicy.begin?.(start)).toEqual({ bytesPerSecond: 100 * MBIT });
  });

  test.each<[string, Partial<PolicyRound>, object]>([
    [
      'goes at the dirty rate and 50 Mbit/s more',
      dirtied(10_000),
      { action: 'iterate', bytesPerSecond: 10_000 * PAGE_BYTES + 50 * MBIT },
    ],
    ['goes no slower than it began', dirtied(10), { bytesPerSecond: 100 * MBIT }],
    [
      'stops when that would be more than 500 Mbit/s',
      dirtied(14_000),
      { action: 'stop-and-copy', reason: 'rate' },
    ],
    ['stops below 50 pages', { remainingPages: 49 }, { reason: 'converged' }],
    ['stops below 256 KiB', { remainingPages: 63 }, { reason: 'converged' }],
    ['goes on at 256 KiB', { ...dirtied(64), remainingPages: 64 }, { action: 'iterate' }],
    ['stops after 29 passes', { ...dirtied(1), pass: 29 }, { reason: 'passes' }],
    [
      'stops when three times the RAM was sent',
      { ...dirtied(1), sentBytes: 300_001 * PAGE_BYTES },
      { reason: 'data' },
    ],
    ['knows no downtime limit', { ...dirtied(10), linkBytesPerMs: 1e9 }, { action: 'iterate' }],
  ])('decide() %s', (_, change, expected) => {
    expect(decide(clarkPolicy, change)).toMatchObject(expected);
  });

  test('scales its rates to a lower limit of the user', () => {
    const limits = { ...NO_LIMITS, maxBandwidthBytesPerSecond: CLARK.maxBytesPerSecond / 10 };
    expect(clarkPolicy.begin?.({ ramPages: 1, limits })).toEqual({ bytesPerSecond: 10 * MBIT });
    const slow = { maxBandwidthBytesPerSecond: CLARK.maxBytesPerSecond / 10 };
    expect(decide(clarkPolicy, dirtied(1400), slow)).toMatchObject({ reason: 'rate' });
  });
});

describe('qemuPolicy', () => {
  const converged = { action: 'stop-and-copy', reason: 'converged' };
  // 300 ms at 1000 bytes/ms are 73 raw pages.
  test.each<[string, Partial<PolicyRound>, Partial<PolicyLimits>, object]>([
    ['stops at the threshold', { remainingPages: 73 }, {}, converged],
    ['goes on above it', { remainingPages: 74 }, {}, { action: 'iterate' }],
    [
      'counts raw bytes of deltas',
      { remainingPages: 74, wireBytesPerPage: 60 },
      {},
      { action: 'iterate' },
    ],
    [
      'goes by what was sent lately, not by what the link could do',
      { remainingPages: 73, windowBytesPerMs: 990, linkBytesPerMs: 1e6 },
      {},
      { action: 'iterate' },
    ],
    [
      'goes by the bandwidth that it is told to assume',
      { remainingPages: 700, windowBytesPerMs: 1 },
      { availSwitchoverBandwidthBytesPerSecond: 10_000_000 },
      converged,
    ],
    ['does not count what is in flight', { remainingPages: 73, inFlightBytes: 1e6 }, {}, converged],
    [
      'stops when nothing is left',
      { remainingPages: 0, windowBytesPerMs: undefined },
      {},
      converged,
    ],
    ['goes on for ever', { pass: 1e6, elapsedMs: 1e12 }, {}, { action: 'iterate' }],
    [
      'keeps a timeout of the user',
      {},
      { timeoutMs: 1000 },
      { action: 'stop-and-copy', reason: 'timeout' },
    ],
  ])('decide() %s', (_, change, limits, expected) => {
    expect(decide(qemuPolicy, change, limits)).toMatchObject(expected);
  });

  /** Passes of `ms` each, the guest as fast as `share` of the link. */
  const passes = (count: number, ms: number, share = 1) =>
    Array.from({ length: count }, () =>
      policyPass({
        durationMs: ms,
        wireBytes: ms * 1000,
        dirtiedPages: Math.round((ms * 1000 * share) / PAGE_BYTES),
      }),
    );

  test.each<[string, number, ReturnType<typeof passes>, Partial<typeof AUTO_CONVERGE>]>([
    ['waits for two high periods', 0, passes(1, 1000), {}],
    ['begins with the first step', 20, passes(2, 1000), {}],
    ['makes the next after two more', 30, passes(4, 1000), {}],
    ['does not step between', 20, passes(3, 1000), {}],
    ['looks once a second only', 20, passes(20, 100), {}],
    ['has its ceiling', 45, passes(40, 1000), { maxPercent: 45 }],
    ['is not moved by a slow guest', 0, passes(40, 1000, 0.49), {}],
    [
      'does not forget a high period',
      20,
      [...passes(1, 1000), ...passes(9, 1000, 0.1), ...passes(1, 1000)],
      {},
    ],
    ['never steps down', 20, [...passes(2, 1000), ...passes(50, 1000, 0.01)], {}],
    ['makes small last steps with tailslow', 24, passes(4, 1000, 0.53), { tailslow: true }],
  ])('auto-converge %s', (_, expected, history, limits) => {
    expect(qemuThrottle(history, { ...AUTO_CONVERGE, ...limits })).toBe(expected);
  });

  test('decide() never lets the throttle go again', () => {
    const change = { history: passes(1, 1000, 0), throttlePercent: 70 };
    expect(decide(qemuPolicy, change, { autoConverge: AUTO_CONVERGE })).toEqual({
      action: 'iterate',
      throttlePercent: 70,
    });
  });

  test('takes longer than svard where deltas make the difference', () => {
    const guest = {
      ramPages: 230_400,
      hotPages: 65_536,
      writesPerMs: 60,
      linkBytesPerMs: 125_000,
      againBytes: 300,
    };
    const theirs = runModel(qemuPolicy, guest, { downtimeLimitMs: 30 });
    const ours = runModel(svardPolicy, guest, { downtimeLimitMs: 30 });
    expect(ours.end?.reason).toBe('converged');
    expect(theirs.rounds.length).toBeGreaterThan(ours.rounds.length);
  });
});

describe('svardPolicy', () => {
  // 300 ms less 5 ms of the switch at 1000 bytes/ms are 295 000 bytes.
  test.each<[string, Partial<PolicyRound>, object]>([
    [
      'stops when it fits as it was compressed',
      { wireBytesPerPage: 2950 },
      { reason: 'converged' },
    ],
    ['goes on when it does not', { wireBytesPerPage: 2951 }, { action: 'iterate' }],
    [
      'counts what is in flight',
      { wireBytesPerPage: 2950, inFlightBytes: 1000 },
      { action: 'iterate' },
    ],
    [
      'does not count what will have drained',
      {
        wireBytesPerPage: 2900,
        inFlightBytes: 1e6,
        history: [policyPass({ dirtiedPages: 100, durationMs: 1e6 })],
      },
      { reason: 'converged' },
    ],
    ['goes on while nothing was measured', { linkBytesPerMs: undefined }, { action: 'iterate' }],
    [
      'stops when nothing is left',
      { remainingPages: 0, linkBytesPerMs: undefined },
      { reason: 'converged' },
    ],
  ])('decide() %s', (_, change, expected) => {
    expect(decide(svardPolicy, change)).toMatchObject(expected);
  });

  test('needs delta compression', () => {
    expect(svardPolicy.needs).toContain('xbzrle');
  });
});
