import fc from 'fast-check';
import { describe, test } from 'vitest';
import {
  convert,
  DOUBLE,
  fromInteger,
  type IntegerType,
  MODES,
  SINGLE,
  toInteger,
} from '../../../reference/ieee754.ts';
import { expectFloat } from '../../../support/float-module.ts';
import { FORMATS, narrowable, nearIntegers, numbers, registers } from './float-arbitraries.ts';

const RUNS = 2000;

const INTEGERS: readonly { name: string; type: IntegerType }[] = [
  { name: 'i32', type: { bits: 32, isSigned: true } },
  { name: 'u32', type: { bits: 32, isSigned: false } },
  { name: 'i64', type: { bits: 64, isSigned: true } },
  { name: 'u64', type: { bits: 64, isSigned: false } },
];

test('f64_from_f32() is the same number', () => {
  fc.assert(
    fc.property(numbers(SINGLE), (a) => {
      const expected = convert(SINGLE, DOUBLE, a, 'nearest-even');
      expectFloat('f64_from_f32', [a], undefined, expected);
    }),
    { numRuns: RUNS },
  );
});

test('f32_from_f64() is the number, rounded once', () => {
  fc.assert(
    fc.property(narrowable, (a) => {
      for (const mode of MODES) {
        expectFloat('f32_from_f64', [a], mode, convert(DOUBLE, SINGLE, a, mode));
      }
    }),
    { numRuns: 2 * RUNS },
  );
});

describe.each(FORMATS)('$prefix', ({ format, prefix }) => {
  test.each(INTEGERS)('to_$name() rounds once, and saturates', ({ name, type }) => {
    fc.assert(
      fc.property(nearIntegers(format), (a) => {
        for (const mode of MODES) {
          expectFloat(`${prefix}_to_${name}`, [a], mode, toInteger(format, type, a, mode));
        }
      }),
      { numRuns: RUNS },
    );
  });

  test.each(INTEGERS)('from_$name() rounds once', ({ name, type }) => {
    fc.assert(
      fc.property(registers, (register) => {
        for (const mode of MODES) {
          const expected = fromInteger(format, type, register, mode);
          expectFloat(`${prefix}_from_${name}`, [register], mode, expected);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
