import { describe, expect, test } from 'vitest';
import { expectedDowntimeMs, type PolicyRound } from '../../../../src/source/index.ts';
import { ROUND } from '../../../support/policy-model.ts';

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
