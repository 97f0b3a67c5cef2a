import fc from 'fast-check';
import { describe, test } from 'vitest';
import { add, div, type Format, fma, MODES, mul, sqrt, sub } from '../../../reference/ieee754.ts';
import { expectFloat } from '../../../support/float-module.ts';
import { FORMATS, pairs, quotients, radicands, triples } from './float-arbitraries.ts';

/**
 * The arithmetic of F and D equals exact arithmetic rounded once, in each mode, with the same
 * flags, whether the machine's own instructions serve it or the integers.
 */

const RUNS = 3000;

type Binary = typeof add;

function checkBinary(
  name: string,
  format: Format,
  operands: fc.Arbitrary<[bigint, bigint]>,
  exact: Binary,
): void {
  fc.assert(
    fc.property(operands, ([a, b]) => {
      for (const mode of MODES) expectFloat(name, [a, b], mode, exact(format, a, b, mode));
    }),
    { numRuns: RUNS },
  );
}

describe.each(FORMATS)('$prefix', ({ format, prefix }) => {
  test('add() is the exact sum, rounded once', () => {
    checkBinary(`${prefix}_add`, format, pairs(format), add);
  });

  test('sub() is the exact difference, rounded once', () => {
    checkBinary(`${prefix}_sub`, format, pairs(format), sub);
  });

  test('mul() is the exact product, rounded once', () => {
    checkBinary(`${prefix}_mul`, format, pairs(format), mul);
  });

  test('div() is the exact quotient, rounded once', () => {
    checkBinary(`${prefix}_div`, format, quotients(format), div);
  });

  test('sqrt() is the exact root, rounded once', () => {
    fc.assert(
      fc.property(radicands(format), (a) => {
        for (const mode of MODES) {
          expectFloat(`${prefix}_sqrt`, [a], mode, sqrt(format, a, mode));
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('fma() is the exact product and sum, rounded once', () => {
    fc.assert(
      fc.property(triples(format), ([a, b, c]) => {
        for (const mode of MODES) {
          expectFloat(`${prefix}_fma`, [a, b, c], mode, fma(format, a, b, c, mode));
        }
      }),
      { numRuns: RUNS },
    );
  });
});
