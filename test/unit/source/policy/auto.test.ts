import { describe, expect, test } from 'vitest';
import type { PolicyLimits, PolicyRound } from '../../../../src/source/index.ts';
import { autoPolicy } from '../../../../src/source/policy/auto.ts';
import {
  AUTO_CONVERGE,
  type ModelGuest,
  NO_LIMITS,
  policyPass,
  ROUND,
  runModel,
} from '../../../support/policy-model.ts';

const UNMEASURED = { linkBytesPerMs: undefined };
const LIMITS: PolicyLimits = { ...NO_LIMITS, timeoutAction: 'cancel' };

describe('autoPolicy.decide()', () => {
  const converged = { action: 'stop-and-copy', reason: 'converged' };
  const suspend = { action: 'stop-and-copy', reason: 'timeout' };
  const giveUp = { action: 'give-up', reason: 'timeout' };
  const iterate = { action: 'iterate' };
  const passes = { action: 'postcopy', reason: 'passes' };
  const plateau = { action: 'postcopy', reason: 'plateau' };

  test.each<[string, Partial<PolicyRound>, Partial<PolicyLimits>, object]>([
    ['goes on above the limit', {}, {}, iterate],
    ['stops below the limit', { remainingPages: 50 }, {}, converged],
    ['stops exactly at the limit', { remainingPages: 0, overheadMs: 300 }, {}, converged],
    [
      'stops with an empty bitmap though nothing was measured',
      { remainingPages: 0, ...UNMEASURED },
      {},
      converged,
    ],
    [
      'stops with an empty bitmap at a limit of 0',
      { remainingPages: 0 },
      { downtimeLimitMs: 0 },
      converged,
    ],
    [
      'goes on with one page at a limit of 0',
      { remainingPages: 1 },
      { downtimeLimitMs: 0 },
      iterate,
    ],
    ['goes on while nothing was measured', { remainingPages: 1, ...UNMEASURED }, {}, iterate],
    ['counts bytes in flight', { remainingPages: 70, inFlightBytes: 20_000 }, {}, iterate],
    ['stops with few bytes in flight', { remainingPages: 70, inFlightBytes: 2000 }, {}, converged],
    [
      'goes on when only the encoder is too slow',
      { remainingPages: 50, encodeMsPerPage: 7 },
      {},
      iterate,
    ],
    ['stops with small deltas', { wireBytesPerPage: 60 }, {}, converged],
    ['goes on before the timeout', {}, { timeoutMs: 1001 }, iterate],
    ['gives up at the timeout', {}, { timeoutMs: 1000 }, giveUp],
    ['suspends at the timeout', {}, { timeoutMs: 1000, timeoutAction: 'suspend' }, suspend],
    [
      'suspends at the timeout though nothing was measured',
      UNMEASURED,
      { timeoutMs: 1, timeoutAction: 'suspend' },
      suspend,
    ],
    ['prefers to converge at the timeout', { remainingPages: 1 }, { timeoutMs: 1 }, converged],
    ['never times out with a timeout of 0', { elapsedMs: 1e12 }, { timeoutMs: 0 }, iterate],
    ['hands over after so many passes', {}, { hybrid: { afterPasses: 2, plateau: false } }, passes],
    ['goes on before that', {}, { hybrid: { afterPasses: 3, plateau: true } }, iterate],
    [
      'hands over when a pass left no less than the last',
      { lastRemainingPages: 100 },
      { hybrid: { afterPasses: 0, plateau: true } },
      plateau,
    ],
    [
      'does not when it left one page less',
      { lastRemainingPages: 101 },
      { hybrid: { afterPasses: 0, plateau: true } },
      iterate,
    ],
    [
      'prefers to converge where it could hand over',
      { remainingPages: 1 },
      { hybrid: { afterPasses: 1, plateau: true } },
      converged,
    ],
  ])('decide() %s', (_, change, limits, expected) => {
    const round = { ...ROUND, ...change, limits: { ...LIMITS, ...limits } };
    expect(autoPolicy.decide(round)).toEqual(expected);
  });
});

/** Published work: 1 GiB, 256 MiB of it written at 60 pages/ms, deltas of 80 bytes, 125 MB/s. */
const MEMWRITE: ModelGuest = {
  ramPages: 230_400,
  hotPages: 65_536,
  writesPerMs: 60,
  linkBytesPerMs: 125_000,
  againBytes: 96,
  encodeMsPerPage: 0.002,
};
/** The same without deltas: it never converges. */
const WITHOUT_DELTA: ModelGuest = { ...MEMWRITE, againBytes: 4112, encodeMsPerPage: 0 };

describe('autoPolicy against a model of a guest', () => {
  test('converges with deltas in a few passes, far below the limit', () => {
    const { rounds, end, downtimeMs } = runModel(autoPolicy, MEMWRITE);
    expect(end?.reason).toBe('converged');
    expect(rounds.length).toBeLessThanOrEqual(4);
    // What the switch itself takes, and a quarter of that for the last pages.
    expect(downtimeMs).toBeLessThanOrEqual(1.25 * (rounds.at(-1)?.overheadMs ?? 0));
  });

  test('goes on within the limit when another pass costs nothing and shortens the downtime', () => {
    const cheap: ModelGuest = { ...MEMWRITE, writesPerMs: 6, hotPages: 20_000 };
    const { rounds, downtimeMs, totalMs, sentBytes } = runModel(autoPolicy, cheap);
    const first = rounds.find((round) => round.remainingPages * 96 < 300 * 125_000)!;
    expect(first.pass).toBeLessThan(rounds.length);
    expect(downtimeMs).toBeLessThan(10);
    expect(totalMs).toBeLessThan(first.elapsedMs * 1.03);
    expect(sentBytes).toBeLessThan(first.sentBytes * 1.03);
  });

  test('iterates for ever where it can do nothing and nothing was allowed', () => {
    expect(runModel(autoPolicy, WITHOUT_DELTA).end).toBeUndefined();
  });

  test('pauses a guest that never converges when its passes have shown that', () => {
    const { end, totalMs, rounds, downtimeMs } = runModel(autoPolicy, WITHOUT_DELTA, {
      timeoutMs: 60_000,
    });
    expect(end).toMatchObject({ action: 'stop-and-copy', reason: 'plateau' });
    // 7.6 s of the first pass, and a tenth of the timeout at least in which none left less.
    expect(totalMs).toBeGreaterThanOrEqual(13_600);
    expect(totalMs).toBeLessThan(20_000);
    const least = Math.min(...rounds.map(({ remainingPages }) => remainingPages));
    expect(downtimeMs).toBeLessThan(((least * 4112) / 125_000) * 1.05 + 10);
  });

  test('gives it time to become quiet by itself', () => {
    const quiet: ModelGuest = {
      ...WITHOUT_DELTA,
      writesPerMsAt: (elapsedMs) => (elapsedMs < 12_000 ? 60 : 4),
    };
    const { end, downtimeMs } = runModel(autoPolicy, quiet, { timeoutMs: 60_000 });
    expect(end?.reason).toBe('converged');
    expect(downtimeMs).toBeLessThanOrEqual(300);
  });

  test('does not take slow progress for a standstill', () => {
    // Each pass leaves nine tenths of the one before.
    const slow: ModelGuest = { ...WITHOUT_DELTA, hotPages: 1e7, writesPerMs: 27.4 };
    const limits = { timeoutMs: 200_000, downtimeLimitMs: 50 };
    const { end, rounds, downtimeMs } = runModel(autoPolicy, slow, limits);
    expect(end?.reason).toBe('converged');
    expect(rounds.length).toBeGreaterThan(30);
    expect(downtimeMs).toBeLessThanOrEqual(50);
  });

  test('waits for its timeout when the guest is to be left where it is', () => {
    const { end, totalMs } = runModel(autoPolicy, WITHOUT_DELTA, {
      timeoutMs: 60_000,
      timeoutAction: 'cancel',
      allows: { throttle: false, postcopy: false, suspend: false, cancel: true },
    });
    expect(end).toMatchObject({ action: 'give-up', reason: 'timeout' });
    expect(totalMs).toBeGreaterThanOrEqual(60_000);
  });

  test('slows the guest until it converges, no further than that takes', () => {
    const allows = { ...NO_LIMITS.allows, throttle: true };
    const { end, throttles } = runModel(autoPolicy, WITHOUT_DELTA, {
      autoConverge: AUTO_CONVERGE,
      allows,
    });
    expect(end?.reason).toBe('converged');
    expect(throttles[0]).toBe(0);
    expect(Math.max(...throttles)).toBeGreaterThanOrEqual(40);
    expect(Math.max(...throttles)).toBeLessThanOrEqual(80);
  });

  test('lets the guest go faster again when it has become quiet', () => {
    const quiet: ModelGuest = {
      ...WITHOUT_DELTA,
      writesPerMsAt: (elapsedMs) => (elapsedMs < 30_000 ? 60 : 4),
    };
    const { throttles } = runModel(autoPolicy, quiet, {
      downtimeLimitMs: 0,
      autoConverge: { ...AUTO_CONVERGE, maxPercent: 40 },
      allows: { ...NO_LIMITS.allows, throttle: true },
    });
    expect(Math.max(...throttles)).toBe(40);
    expect(throttles.at(-1)).toBe(0);
  });

  test('does not count one burst as a plateau', () => {
    const passes = [3000, 900, 1200, 300].map((dirtiedPages, index, all) =>
      policyPass({ pass: index + 1, dirtyPages: all[index - 1] ?? 9000, dirtiedPages }),
    );
    const limits = { ...NO_LIMITS, timeoutMs: 1500 };
    const round = { ...ROUND, pass: 4, remainingPages: 300, history: passes, limits };
    expect(autoPolicy.decide(round)).toEqual({ action: 'iterate' });
  });
});
