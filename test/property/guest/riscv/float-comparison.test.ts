import fc from 'fast-check';
import { describe, test } from 'vitest';
import { classify, extreme, relate } from '../../../reference/ieee754.ts';
import { expectFloat } from '../../../support/float-module.ts';
import { FORMATS, numbers, pairs } from './float-arbitraries.ts';

const RUNS = 1500;

describe.each(FORMATS)('$prefix', ({ format, prefix }) => {
  test.each(['eq', 'lt', 'le'] as const)('%s() compares the numbers', (relation) => {
    fc.assert(
      fc.property(pairs(format), ([a, b]) => {
        const expected = relate(format, relation, a, b);
        expectFloat(`${prefix}_${relation}`, [a, b], undefined, expected);
      }),
      { numRuns: RUNS },
    );
  });

  test.each(['min', 'max'] as const)('%s() is one of the numbers', (which) => {
    fc.assert(
      fc.property(pairs(format), ([a, b]) => {
        expectFloat(`${prefix}_${which}`, [a, b], undefined, extreme(format, which, a, b));
      }),
      { numRuns: RUNS },
    );
  });

  test('class() has the bit of the number', () => {
    fc.assert(
      fc.property(numbers(format), (a) => {
        expectFloat(`${prefix}_class`, [a], undefined, classify(format, a));
      }),
      { numRuns: RUNS },
    );
  });
});
