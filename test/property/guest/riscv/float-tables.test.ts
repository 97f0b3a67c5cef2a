import { describe, expect, test } from 'vitest';
import * as reference from '../../../reference/ieee754.ts';
import { MODES, type Mode, type Result } from '../../../reference/ieee754.ts';
import { callFloat, expectFloat, floatMemory } from '../../../support/float-module.ts';
import { FORMATS, specials } from './float-arbitraries.ts';

/** What random numbers rarely meet: each special one with each other, and cases known by hand. */

describe.each(FORMATS)('$prefix', ({ format, prefix }) => {
  const values = specials(format);

  test('add(), sub(), mul() and div() of all special numbers', () => {
    const operations = {
      add: reference.add,
      sub: reference.sub,
      mul: reference.mul,
      div: reference.div,
    };
    for (const [name, exact] of Object.entries(operations)) {
      for (const mode of MODES) {
        for (const a of values) {
          for (const b of values) {
            expectFloat(`${prefix}_${name}`, [a, b], mode, exact(format, a, b, mode));
          }
        }
      }
    }
  });

  test('fma() of special numbers', () => {
    // A third of them: all would be 393,000 cases.
    const some = values.filter((_, index) => index % 3 === 0);
    for (const mode of MODES) {
      for (const a of some) {
        for (const b of some) {
          for (const c of values) {
            const expected = reference.fma(format, a, b, c, mode);
            expectFloat(`${prefix}_fma`, [a, b, c], mode, expected);
          }
        }
      }
    }
  });

  test('comparisons, minimum, maximum and class of all special numbers', () => {
    for (const a of values) {
      expectFloat(`${prefix}_class`, [a], undefined, reference.classify(format, a));
      for (const b of values) {
        for (const relation of ['eq', 'lt', 'le'] as const) {
          const expected = reference.relate(format, relation, a, b);
          expectFloat(`${prefix}_${relation}`, [a, b], undefined, expected);
        }
        for (const which of ['min', 'max'] as const) {
          const expected = reference.extreme(format, which, a, b);
          expectFloat(`${prefix}_${which}`, [a, b], undefined, expected);
        }
      }
    }
  });
});

const { NX, UF, OF, DZ, NV } = reference;
const NAN_32 = 0x7fc00000n;
const NAN_64 = 0x7ff8000000000000n;
const NEAREST: Mode = 'nearest-even';

/** Worked out by hand from the standard and the manual of the ISA, not by the reference. */
const KNOWN: readonly [string, bigint[], Mode | undefined, bigint, number][] = [
  // 1/3, and the two numbers around it.
  ['f64_div', [0x3ff0000000000000n, 0x4008000000000000n], NEAREST, 0x3fd5555555555555n, NX],
  ['f64_div', [0x3ff0000000000000n, 0x4008000000000000n], 'up', 0x3fd5555555555556n, NX],
  ['f32_div', [0x3f800000n, 0x40400000n], NEAREST, 0x3eaaaaabn, NX],
  ['f32_div', [0x3f800000n, 0x40400000n], 'toward-zero', 0x3eaaaaaan, NX],
  ['f32_div', [0x3f800000n, 0x80000000n], NEAREST, 0xff800000n, DZ],
  ['f32_div', [0n, 0n], NEAREST, NAN_32, NV],
  // 1 + 2^-53 lies halfway: even, away, down, up.
  ['f64_add', [0x3ff0000000000000n, 0x3ca0000000000000n], NEAREST, 0x3ff0000000000000n, NX],
  ['f64_add', [0x3ff0000000000000n, 0x3ca0000000000000n], 'nearest-away', 0x3ff0000000000001n, NX],
  ['f64_add', [0x3ff0000000000000n, 0x3ca0000000000000n], 'down', 0x3ff0000000000000n, NX],
  ['f64_add', [0xbff0000000000000n, 0xbca0000000000000n], 'down', 0xbff0000000000001n, NX],
  // x - x is +0, but -0 when rounding down; -0 + -0 is -0.
  ['f32_sub', [0x3f800000n, 0x3f800000n], NEAREST, 0n, 0],
  ['f32_sub', [0x3f800000n, 0x3f800000n], 'down', 0x80000000n, 0],
  ['f32_add', [0x80000000n, 0x80000000n], NEAREST, 0x80000000n, 0],
  // Infinity less infinity; a signalling NaN, a quiet one with a payload.
  ['f64_sub', [0x7ff0000000000000n, 0x7ff0000000000000n], NEAREST, NAN_64, NV],
  ['f64_add', [0x7ff0000000000001n, 0n], NEAREST, NAN_64, NV],
  ['f64_add', [0xfff8000000000123n, 0n], NEAREST, NAN_64, 0],
  // Overflow: to infinity, or to the largest number.
  ['f32_mul', [0x7f7fffffn, 0x40000000n], NEAREST, 0x7f800000n, OF | NX],
  ['f32_mul', [0x7f7fffffn, 0xc0000000n], 'up', 0xff7fffffn, OF | NX],
  // Half of the least number: the even one is zero.
  ['f64_mul', [1n, 0x3fe0000000000000n], NEAREST, 0n, UF | NX],
  ['f64_mul', [1n, 0x3fe0000000000000n], 'up', 1n, UF | NX],
  // (1 - 2^-24) 2^-126 has 24 digits, so it is tiny. (1 - 2^-26) 2^-126 has not: with an exponent
  // without bounds it rounds to 2^-126, which is not tiny; (1 - 2^-24 + 2^-26) 2^-126 does not.
  ['f32_mul', [0x00800000n, 0x3f7fffffn], NEAREST, 0x00800000n, UF | NX],
  ['f32_from_f64', [0x380ffffff8000000n], NEAREST, 0x00800000n, NX],
  ['f32_from_f64', [0x380fffffe8000000n], NEAREST, 0x00800000n, UF | NX],
  ['f32_from_f64', [0x380ffffff8000000n], 'toward-zero', 0x007fffffn, UF | NX],
  // Subnormal but exact is no underflow.
  ['f64_mul', [0x0010000000000000n, 0x3fe0000000000000n], NEAREST, 0x0008000000000000n, 0],
  ['f64_sqrt', [0x4000000000000000n], NEAREST, 0x3ff6a09e667f3bcdn, NX],
  ['f64_sqrt', [0x4010000000000000n], NEAREST, 0x4000000000000000n, 0],
  ['f32_sqrt', [0xbf800000n], NEAREST, NAN_32, NV],
  ['f32_sqrt', [0x80000000n], NEAREST, 0x80000000n, 0],
  // (1 + 2^-52)^2 - (1 + 2^-51) is what a product rounded first would lose.
  [
    'f64_fma',
    [0x3ff0000000000001n, 0x3ff0000000000001n, 0xbff0000000000002n],
    NEAREST,
    0x3970000000000000n,
    0,
  ],
  // Infinity times zero is invalid beside a quiet NaN too.
  ['f64_fma', [0x7ff0000000000000n, 0n, NAN_64], NEAREST, NAN_64, NV],
  ['f32_min', [0x80000000n, 0n], undefined, 0x80000000n, 0],
  ['f32_max', [0x80000000n, 0n], undefined, 0n, 0],
  ['f32_min', [0x7f800001n, 0x3f800000n], undefined, 0x3f800000n, NV],
  ['f32_max', [NAN_32, 0x3f800000n], undefined, 0x3f800000n, 0],
  ['f64_eq', [NAN_64, NAN_64], undefined, 0n, 0],
  ['f64_lt', [NAN_64, 0n], undefined, 0n, NV],
  ['f64_le', [0x8000000000000000n, 0n], undefined, 1n, 0],
  // The table of the ISA for conversions: -1.1, infinities, NaN.
  ['f32_to_u32', [0xbf8ccccdn], 'toward-zero', 0n, NV],
  ['f32_to_u32', [0xbf666666n], 'toward-zero', 0n, NX],
  ['f32_to_u32', [NAN_32], 'toward-zero', 0xffffffffffffffffn, NV],
  ['f32_to_u32', [0x4f000000n], 'toward-zero', 0xffffffff80000000n, 0],
  ['f32_to_i32', [0xff800000n], 'toward-zero', 0xffffffff80000000n, NV],
  ['f64_to_i64', [NAN_64], 'toward-zero', 0x7fffffffffffffffn, NV],
  ['f64_to_i32', [0x4004000000000000n], NEAREST, 2n, NX],
  ['f64_to_i32', [0x4004000000000000n], 'nearest-away', 3n, NX],
  ['f64_from_u64', [0xffffffffffffffffn], NEAREST, 0x43f0000000000000n, NX],
  ['f32_from_i32', [0x1ffffffffn], NEAREST, 0xbf800000n, 0],
  ['f32_from_f64', [0x7ff0000000000001n], NEAREST, NAN_32, NV],
  ['f64_from_f32', [0x7f800001n], undefined, NAN_64, NV],
  ['f64_from_f32', [1n], undefined, 0x36a0000000000000n, 0],
];

test.each(KNOWN)('%s(%s) %s is known', (name, operands, mode, value, flags) => {
  expectFloat(name, operands, mode, { value, flags });
});

test('flags accrue, and none is ever cleared', () => {
  const one = 0x3f800000n;
  for (const before of [0, NX, UF, OF, DZ, NV, NX | UF | OF | DZ | NV]) {
    const outcome: Result = callFloat('f32_div', [one, 0n], NEAREST, before);
    expect(outcome.flags).toBe(before | DZ);
    expect(callFloat('f32_add', [one, one], NEAREST, before).flags).toBe(before);
  }
});

test('the memory is left alone', () => {
  const bytes = new Uint8Array(floatMemory.buffer);
  bytes.fill(0x5a);
  for (const { format, prefix } of FORMATS) {
    for (const a of specials(format)) callFloat(`${prefix}_sqrt`, [a], 'up', 0);
    callFloat(`${prefix}_fma`, [3n, 5n, 7n], 'up', 0);
  }
  expect(bytes.every((byte) => byte === 0x5a)).toBe(true);
});
