import { describe, expect, test } from 'vitest';
import {
  drainingPays,
  expectedDowntimeMs,
  type PolicyRound,
} from '../../../../src/source/index.ts';
import { switchDowntimeMs } from '../../../../src/source/policy/expected-downtime.ts';
import { policyPass, ROUND } from '../../../support/policy-model.ts';

const UNMEASURED = { linkBytesPerMs: undefined };

describe('expectedDowntimeMs()', () => {
  test.each<[string, Partial<PolicyRound>, number | undefined]>([
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

describe('drainingPays()', () => {
  /** A pass of one second; its pages are all that the guest writes. */
  const dirtied = (dirtiedPages: number, durationMs = 1000) => [
    policyPass({ dirtyPages: 1000, dirtiedPages, durationMs }),
  ];
  // 100 ms of the link are under way.
  const round = { ...ROUND, inFlightBytes: 100_000 };

  test.each<[string, Partial<PolicyRound>, boolean]>([
    ['while the guest dirties little meanwhile', { history: dirtied(110) }, true],
    ['not while it dirties more than that', { history: dirtied(10_000) }, false],
    ['though it writes fast, when all that it writes is dirty', { history: dirtied(100, 5) }, true],
    [
      'not when hardly anything is under way',
      { inFlightBytes: 65_536, history: dirtied(0) },
      false,
    ],
    ['not while nothing is known of the guest', { history: [] }, false],
    ['not while nothing was measured', { history: dirtied(0), ...UNMEASURED }, false],
    [
      'of a guest that is slowed as far as it can be',
      { history: dirtied(3000), throttlePercent: 99 },
      true,
    ],
  ])('drainingPays() %s', (_, change, expected) => {
    expect(drainingPays({ ...round, ...change })).toBe(expected);
  });

  test('switchDowntimeMs() is what remains after draining where that pays, or what is now', () => {
    expect(switchDowntimeMs({ ...round, history: dirtied(100, 5) })).toBeCloseTo(416.2, 6);
    expect(switchDowntimeMs({ ...round, history: dirtied(10_000) })).toBeCloseTo(516.2, 6);
    expect(switchDowntimeMs({ ...round, ...UNMEASURED })).toBeUndefined();
  });
});
