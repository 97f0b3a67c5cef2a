import { describe, expect, test } from 'vitest';
import {
  decidePrecopy,
  expectedDowntimeMs,
  type PrecopyLimits,
  type PrecopyRound,
} from '../../../src/source/index.ts';

/** 100 pages of 4112 bytes at 1000 bytes/ms: 411.2 ms, and 5 ms for the switch itself. */
const ROUND: PrecopyRound = {
  pass: 2,
  remainingPages: 100,
  inFlightBytes: 0,
  wireBytesPerPage: 4112,
  encodeMsPerPage: 0,
  linkBytesPerMs: 1000,
  overheadMs: 5,
  lastRemainingPages: 200,
  elapsedMs: 1000,
};
const LIMITS: PrecopyLimits = {
  downtimeLimitMs: 300,
  timeoutMs: 0,
  timeoutAction: 'cancel',
  hybrid: undefined,
};
const UNMEASURED = { linkBytesPerMs: undefined };

describe('expectedDowntimeMs()', () => {
  test.each<[string, Partial<PrecopyRound>, number | undefined]>([
    ['pages at their encoded size over the link', {}, 416.2],
    ['what is in flight as well', { inFlightBytes: 50_000 }, 466.2],
    ['the overhead alone when nothing is left', { remainingPages: 0 }, 5],
    [
      'the overhead alone when nothing is left and nothing was measured',
      { remainingPages: 0, ...UNMEASURED },
      5,
    ],
    ['nothing when pages are left and nothing was measured', UNMEASURED, undefined],
    ['nothing when the link measured 0', { linkBytesPerMs: 0 }, undefined],
    ['only what is in flight when no page is left', { remainingPages: 0, inFlightBytes: 1000 }, 6],
    [
      'nothing for bytes in flight on a link that was not measured',
      { remainingPages: 0, inFlightBytes: 1, ...UNMEASURED },
      undefined,
    ],
    ['the encoder when that is slower than the link', { encodeMsPerPage: 6 }, 605],
    ['the link when that is slower than the encoder', { encodeMsPerPage: 4 }, 416.2],
    ['nothing on the wire when all pages were unchanged', { wireBytesPerPage: 0 }, 5],
    [
      'the encoder when all pages were unchanged',
      { wireBytesPerPage: 0, encodeMsPerPage: 1, ...UNMEASURED },
      105,
    ],
  ])('expectedDowntimeMs() counts %s', (_, change, expected) => {
    const actual = expectedDowntimeMs({ ...ROUND, ...change });
    if (expected === undefined) expect(actual).toBeUndefined();
    else expect(actual).toBeCloseTo(expected, 6);
  });
});

describe('decidePrecopy()', () => {
  const converged = { action: 'stop-and-copy', reason: 'converged' };
  const suspend = { action: 'stop-and-copy', reason: 'timeout' };
  const giveUp = { action: 'give-up', reason: 'timeout' };
  const iterate = { action: 'iterate' };

  test.each<[string, Partial<PrecopyRound>, Partial<PrecopyLimits>, object]>([
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
  ])('decidePrecopy() %s', (_, change, limits, expected) => {
    expect(decidePrecopy({ ...ROUND, ...change }, { ...LIMITS, ...limits })).toEqual(expected);
  });
});
