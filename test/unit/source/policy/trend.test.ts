import { describe, expect, test } from 'vitest';
import { standstillOf } from '../../../../src/source/policy/trend.ts';
import { policyPass } from '../../../support/policy-model.ts';

/** Passes of one second each that leave so many pages; all are encoded alike. */
function leaving(...pages: number[]) {
  return pages.map((remainingPages, index) =>
    policyPass({ pass: index + 1, dirtyPages: 1000, durationMs: 1000, remainingPages }),
  );
}

describe('standstillOf()', () => {
  test.each<[string, number[], passes: number, progressMs: number]>([
    ['nothing before the first pass', [], 0, 0],
    ['nothing while each pass leaves less', [800, 400, 200], 0, 3000],
    ['the passes since the least was left', [800, 400, 400, 500], 2, 2000],
    ['a pass that leaves hardly less as one that leaves no less', [800, 400, 390], 1, 2000],
    ['nothing any more when one leaves less again', [800, 900, 900, 700], 0, 4000],
    ['one that leaves less than the last, and not less than the least', [400, 800, 600], 2, 1000],
  ])('standstillOf() counts %s', (_, left, passes, progressMs) => {
    expect(standstillOf(leaving(...left))).toEqual({ passes, ms: passes * 1000, progressMs });
  });
});
