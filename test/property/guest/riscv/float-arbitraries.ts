import fc from 'fast-check';
import { add, convert, DOUBLE, type Format, mul, SINGLE } from '../../../reference/ieee754.ts';

/** Bits of numbers, and of numbers that meet, close to where arithmetic has its borders. */

export const FORMATS = [
  { format: SINGLE, prefix: 'f32' },
  { format: DOUBLE, prefix: 'f64' },
] as const;

const signBit = ({ bits }: Format) => 1n << BigInt(bits - 1);
const exponentMost = ({ bits, fractionBits }: Format) => 2 ** (bits - fractionBits - 1) - 1;

function pack(format: Format, isNegative: boolean, field: number, fraction: bigint): bigint {
  const magnitude = (BigInt(field) << BigInt(format.fractionBits)) | fraction;
  return isNegative ? magnitude | signBit(format) : magnitude;
}

/** The same, some numbers of the format further; wraps. */
function further(format: Format, value: bigint, steps: number): bigint {
  return BigInt.asUintN(format.bits, value + BigInt(steps));
}

/** Few bits, all but few bits, bits at one end, any bits. */
function fractions({ fractionBits }: Format): fc.Arbitrary<bigint> {
  const any = fc.bigInt({ min: 0n, max: (1n << BigInt(fractionBits)) - 1n });
  const shift = fc.nat({ max: fractionBits });
  const small = fc
    .tuple(fc.nat({ max: 7 }), shift)
    .map(([digits, by]) => BigInt(digits) << BigInt(by));
  const few = fc.tuple(small, small).map(([one, other]) => one ^ other);
  const ends = fc.tuple(any, shift).map(([digits, by]) => (digits >> BigInt(by)) << BigInt(by));
  return fc
    .tuple(fc.oneof(any, few, small, ends), fc.boolean())
    .map(([digits, isInverted]) => BigInt.asUintN(fractionBits, isInverted ? ~digits : digits));
}

function fields(format: Format): fc.Arbitrary<number> {
  const most = exponentMost(format);
  const one = most >> 1;
  return fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: one - 4, max: one + 4 }) },
    { weight: 3, arbitrary: fc.integer({ min: one - 70, max: one + 70 }) },
    { weight: 2, arbitrary: fc.nat({ max: most }) },
    { weight: 1, arbitrary: fc.nat({ max: 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: most - 3, max: most }) },
    { weight: 1, arbitrary: fc.integer({ min: one >> 1, max: (one >> 1) + 3 }) },
  );
}

/** Zeros, infinities, NaNs, the ends of the ranges. */
export function specials(format: Format): bigint[] {
  const { fractionBits } = format;
  const most = exponentMost(format);
  const one = most >> 1;
  const all = (1n << BigInt(fractionBits)) - 1n;
  const quiet = 1n << BigInt(fractionBits - 1);
  const magnitudes = [
    pack(format, false, 0, 0n),
    pack(format, false, 0, 1n),
    pack(format, false, 0, all),
    pack(format, false, 1, 0n),
    pack(format, false, 1, 1n),
    pack(format, false, one - fractionBits - 1, 0n),
    pack(format, false, one - 1, all),
    pack(format, false, one, 0n),
    pack(format, false, one, 1n),
    pack(format, false, one, quiet),
    pack(format, false, one + fractionBits + 1, 0n),
    pack(format, false, most - 1, 0n),
    pack(format, false, most - 1, all),
    pack(format, false, most, 0n),
    pack(format, false, most, 1n),
    pack(format, false, most, quiet),
    pack(format, false, most, quiet | 1n),
  ];
  return magnitudes.flatMap((magnitude) => [magnitude, magnitude | signBit(format)]);
}

/** Any number of the format, most of them plain. */
export function numbers(format: Format): fc.Arbitrary<bigint> {
  const made = fc
    .tuple(fc.boolean(), fields(format), fractions(format))
    .map(([isNegative, field, digits]) => pack(format, isNegative, field, digits));
  return fc.oneof(
    { weight: 8, arbitrary: made },
    { weight: 1, arbitrary: fc.constantFrom(...specials(format)) },
    { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: (1n << BigInt(format.bits)) - 1n }) },
  );
}

const fewSteps = fc.integer({ min: -3, max: 3 });

/** What meets `a`, so that digits cancel, results are exact or halfway, or leave the range. */
function partner(format: Format, a: bigint): fc.Arbitrary<bigint> {
  const near = (value: bigint) => fewSteps.map((steps) => further(format, value, steps));
  const { fractionBits } = format;
  const most = exponentMost(format);
  const field = Number((a >> BigInt(fractionBits)) & BigInt(most));
  const atField = (wanted: fc.Arbitrary<number>) =>
    fc
      .tuple(fc.boolean(), wanted, fractions(format))
      .map(([isNegative, place, digits]) =>
        pack(format, isNegative, Math.min(Math.max(place, 0), most), digits),
      );
  const exact = numbers(format).map((other) => mul(format, a, other, 'nearest-even').value);
  const around = (place: number, by: number) =>
    atField(fc.integer({ min: place - by, max: place + by }));
  return fc.oneof(
    { weight: 4, arbitrary: numbers(format) },
    { weight: 1, arbitrary: near(a) },
    { weight: 1, arbitrary: near(a ^ signBit(format)) },
    // Sums with few digits in common.
    { weight: 2, arbitrary: around(field - fractionBits, 3) },
    { weight: 1, arbitrary: around(field, 4) },
    // Products that nearly or just underflow or overflow, and quotients.
    { weight: 1, arbitrary: around((most >> 1) - field, 3) },
    { weight: 1, arbitrary: around((most >> 1) - field - fractionBits, 3) },
    { weight: 1, arbitrary: around(most + (most >> 1) - field, 2) },
    { weight: 1, arbitrary: around(field + (most >> 1), 3) },
    { weight: 1, arbitrary: around(field - (most >> 1), 3) },
    { weight: 1, arbitrary: exact },
  );
}

export function pairs(format: Format): fc.Arbitrary<[bigint, bigint]> {
  const made = numbers(format).chain((a) => fc.tuple(fc.constant(a), partner(format, a)));
  return fc.tuple(made, fc.boolean()).map(([[a, b], isSwapped]) => (isSwapped ? [b, a] : [a, b]));
}

/** Dividend and divisor, the quotient of which is exact or nearly so. */
export function quotients(format: Format): fc.Arbitrary<[bigint, bigint]> {
  const near = pairs(format).chain(([a, b]) =>
    fewSteps.map((steps): [bigint, bigint] => [
      further(format, mul(format, a, b, 'nearest-even').value, steps),
      b,
    ]),
  );
  return fc.oneof(pairs(format), near);
}

/** Two factors and an addend that is near to what cancels, or makes their product a half. */
export function triples(format: Format): fc.Arbitrary<[bigint, bigint, bigint]> {
  return pairs(format).chain(([a, b]) => {
    const product = mul(format, a, b, 'nearest-even').value;
    const cancelling = fewSteps.map((steps) => further(format, product ^ signBit(format), steps));
    const addend = fc.oneof(numbers(format), partner(format, product), cancelling);
    return fc.tuple(fc.constant(a), fc.constant(b), addend);
  });
}

/** Squares and what is next to them, and others. */
export function radicands(format: Format): fc.Arbitrary<bigint> {
  const square = fc
    .tuple(numbers(format), fewSteps)
    .map(([root, steps]) => further(format, mul(format, root, root, 'nearest-even').value, steps));
  const positive = numbers(format).map((value) => value & ~signBit(format));
  return fc.oneof(positive, square, numbers(format));
}

/** Numbers that are, or are nearly, the borders and halves of the types of integers. */
export function nearIntegers(format: Format): fc.Arbitrary<bigint> {
  const one = exponentMost(format) >> 1;
  const magnitude = fc
    .tuple(fc.boolean(), fc.integer({ min: one - 3, max: one + 66 }), fractions(format))
    .map(([isNegative, field, digits]) => pack(format, isNegative, field, digits));
  const halves = fc
    .tuple(fc.integer({ min: -2000, max: 2000 }), fewSteps)
    .map(([count, steps]) => further(format, halfOf(format, count), steps));
  const powers = fc
    .tuple(fc.boolean(), fc.constantFrom(0, 31, 32, 63, 64), fewSteps)
    .map(([isNegative, power, steps]) =>
      further(format, pack(format, isNegative, one + power, 0n), steps),
    );
  return fc.oneof(magnitude, halves, powers, numbers(format));
}

/** count / 2 */
function halfOf(format: Format, count: number): bigint {
  const one = exponentMost(format) >> 1;
  let value = 0n;
  for (let power = 0; power < 12; power += 1) {
    if (((Math.abs(count) >> power) & 1) === 0) continue;
    value = add(format, value, pack(format, false, one + power - 1, 0n), 'nearest-even').value;
  }
  return count < 0 ? value | signBit(format) : value;
}

/** Doubles next to singles and to halves between them, at the ends of what singles hold, any. */
export const narrowable: fc.Arbitrary<bigint> = fc.oneof(
  numbers(DOUBLE),
  fc
    .tuple(numbers(SINGLE), fc.constantFrom(0n, 1n << 28n, 1n << 27n), fewSteps)
    .map(([single, half, steps]) =>
      further(DOUBLE, convert(SINGLE, DOUBLE, single, 'nearest-even').value + half, steps),
    ),
  fc
    .tuple(fc.boolean(), fc.constantFrom(0x47e, 0x47f, 0x380, 0x37f, 0x369), fractions(DOUBLE))
    .map(([isNegative, field, digits]) => pack(DOUBLE, isNegative, field, digits)),
);

/** Registers: few digits anywhere, their inverse, borders of halves of a format, any bits. */
export const registers: fc.Arbitrary<bigint> = fc
  .tuple(
    fc.oneof(
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      fc.nat({ max: 2 ** 26 }).map(BigInt),
      fc.bigInt({ min: 0n, max: (1n << 55n) - 1n }),
    ),
    fc.nat({ max: 63 }),
    fc.nat({ max: 63 }),
    fc.integer({ min: -2, max: 2 }),
    fc.boolean(),
  )
  .map(([bits, left, right, steps, isInverted]) => {
    const moved = BigInt.asUintN(64, (bits >> BigInt(right)) << BigInt(left)) + BigInt(steps);
    return BigInt.asUintN(64, isInverted ? ~moved : moved);
  });
