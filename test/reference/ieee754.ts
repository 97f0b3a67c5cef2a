/**
 * IEEE 754-2019 as RISC-V's F and D have it, by exact numbers: a finite number is a fraction of two
 * integers, a result is calculated without an error and then rounded once. The twin of
 * src/guest/riscv/float.
 */

export const NX = 1;
export const UF = 2;
export const OF = 4;
export const DZ = 8;
export const NV = 16;

/** By their number in frm. */
export const MODES = ['nearest-even', 'toward-zero', 'down', 'up', 'nearest-away'] as const;
export type Mode = (typeof MODES)[number];

export interface Format {
  readonly bits: number;
  readonly fractionBits: number;
}
export const SINGLE: Format = { bits: 32, fractionBits: 23 };
export const DOUBLE: Format = { bits: 64, fractionBits: 52 };

export interface Result {
  readonly value: bigint;
  readonly flags: number;
}

type Kind = 'zero' | 'finite' | 'infinite' | 'quiet' | 'signalling';

interface Parts {
  readonly kind: Kind;
  readonly isNegative: boolean;
  /** numerator / denominator, without the sign; 0 unless finite. */
  readonly numerator: bigint;
  readonly denominator: bigint;
}

const biasOf = ({ bits, fractionBits }: Format) => 2 ** (bits - fractionBits - 2) - 1;
const infinityOf = (format: Format) =>
  ((1n << BigInt(format.bits - format.fractionBits - 1)) - 1n) << BigInt(format.fractionBits);
export const nanOf = (format: Format) =>
  infinityOf(format) | (1n << BigInt(format.fractionBits - 1));

function signed(format: Format, isNegative: boolean, magnitude: bigint): bigint {
  return isNegative ? magnitude | (1n << BigInt(format.bits - 1)) : magnitude;
}

/** `size` times 2^exponent as a fraction. */
function scaled(size: bigint, exponent: number): [bigint, bigint] {
  return exponent >= 0 ? [size << BigInt(exponent), 1n] : [size, 1n << BigInt(-exponent)];
}

function partsOf(format: Format, value: bigint): Parts {
  const fractionBits = BigInt(format.fractionBits);
  const isNegative = value >> BigInt(format.bits - 1) === 1n;
  const magnitude = BigInt.asUintN(format.bits - 1, value);
  const infinity = infinityOf(format);
  let kind: Kind = magnitude === 0n ? 'zero' : 'finite';
  if (magnitude === infinity) kind = 'infinite';
  if (magnitude > infinity) {
    kind = (magnitude & (1n << (fractionBits - 1n))) === 0n ? 'signalling' : 'quiet';
  }
  if (kind !== 'finite') return { kind, isNegative, numerator: 0n, denominator: 1n };
  const field = Number(magnitude >> fractionBits);
  const fraction = BigInt.asUintN(format.fractionBits, magnitude);
  const size = field === 0 ? fraction : fraction | (1n << fractionBits);
  const exponent = Math.max(field, 1) - biasOf(format) - format.fractionBits;
  const [numerator, denominator] = scaled(size, exponent);
  return { kind, isNegative, numerator, denominator };
}

const isNan = ({ kind }: Parts) => kind === 'quiet' || kind === 'signalling';
const isZero = ({ kind }: Parts) => kind === 'zero';
const isInfinite = ({ kind }: Parts) => kind === 'infinite';

/** The number with its sign over the denominator. */
const signedNumerator = ({ isNegative, numerator }: Parts) => (isNegative ? -numerator : numerator);

function exact(value: bigint): Result {
  return { value, flags: 0 };
}
function invalid(format: Format): Result {
  return { value: nanOf(format), flags: NV };
}
function zero(format: Format, isNegative: boolean): Result {
  return exact(signed(format, isNegative, 0n));
}
function infinite(format: Format, isNegative: boolean): Result {
  return exact(signed(format, isNegative, infinityOf(format)));
}
function nanResult(format: Format, ...operands: readonly Parts[]): Result {
  return operands.some(({ kind }) => kind === 'signalling')
    ? invalid(format)
    : exact(nanOf(format));
}

/** A positive real number: how many whole units of 2^exponent it has, and if nothing is left. */
type Real = (exponent: number) => { readonly floor: bigint; readonly isWhole: boolean };

function fraction(numerator: bigint, denominator: bigint): Real {
  return (exponent) => {
    const [up, down] = scaled(1n, -exponent);
    const scaledNumerator = numerator * up;
    const scaledDenominator = denominator * down;
    const floor = scaledNumerator / scaledDenominator;
    return { floor, isWhole: floor * scaledDenominator === scaledNumerator };
  };
}

/** Rounded to whole units of 2^exponent. */
function roundToUnits(real: Real, exponent: number, isNegative: boolean, mode: Mode) {
  const { floor: halves, isWhole } = real(exponent - 1);
  const floor = halves >> 1n;
  const isHalf = (halves & 1n) === 1n;
  const isExact = isWhole && !isHalf;
  const isUp = {
    'nearest-even': isHalf && (!isWhole || (floor & 1n) === 1n),
    'toward-zero': false,
    down: isNegative && !isExact,
    up: !isNegative && !isExact,
    'nearest-away': isHalf,
  }[mode];
  return { units: isUp ? floor + 1n : floor, isExact };
}

/** The exponent of the power of two that is not above it; `near` is not far above it. */
function exponentOf(real: Real, near: number): number {
  let exponent = near;
  while (real(exponent).floor === 0n) exponent -= 1;
  while (real(exponent).floor > 1n) exponent += 1;
  return exponent;
}

function bitLength(value: bigint): number {
  return (
    value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0]!, 16)) + 28
  );
}

function round(format: Format, isNegative: boolean, real: Real, near: number, mode: Mode): Result {
  const bias = biasOf(format);
  const leastExponent = 1 - bias;
  const exponent = exponentOf(real, near);
  const unbounded = roundToUnits(real, exponent - format.fractionBits, isNegative, mode);
  const carries = unbounded.units >> BigInt(format.fractionBits + 1) === 1n;
  const isTiny = exponent + (carries ? 1 : 0) < leastExponent;
  const unit = Math.max(exponent, leastExponent) - format.fractionBits;
  const { units, isExact } = roundToUnits(real, unit, isNegative, mode);
  const above = unit - (leastExponent - format.fractionBits);
  // A leading bit counts as one in the field of the exponent.
  const magnitude = units + (BigInt(above) << BigInt(format.fractionBits));
  const infinity = infinityOf(format);
  if (magnitude >= infinity) {
    const isAway = mode.startsWith('nearest') || mode === (isNegative ? 'down' : 'up');
    const value = signed(format, isNegative, isAway ? infinity : infinity - 1n);
    return { value, flags: OF | NX };
  }
  const value = signed(format, isNegative, magnitude);
  return { value, flags: isExact ? 0 : isTiny ? UF | NX : NX };
}

/** A rational number with its sign; `zeroIsNegative` for one that is zero. */
function roundRational(
  format: Format,
  numerator: bigint,
  denominator: bigint,
  mode: Mode,
  zeroIsNegative: boolean,
): Result {
  if (numerator === 0n) return zero(format, zeroIsNegative);
  const size = numerator < 0n ? -numerator : numerator;
  const near = bitLength(size) - bitLength(denominator);
  return round(format, numerator < 0n, fraction(size, denominator), near, mode);
}

function addParts(format: Format, a: Parts, b: Parts, mode: Mode): Result {
  if (isNan(a) || isNan(b)) return nanResult(format, a, b);
  const isDifference = a.isNegative !== b.isNegative;
  if (isInfinite(a) && isInfinite(b) && isDifference) return invalid(format);
  if (isInfinite(a)) return infinite(format, a.isNegative);
  if (isInfinite(b)) return infinite(format, b.isNegative);
  const sum = signedNumerator(a) * b.denominator + signedNumerator(b) * a.denominator;
  const zeroIsNegative = isDifference || !(isZero(a) && isZero(b)) ? mode === 'down' : a.isNegative;
  return roundRational(format, sum, a.denominator * b.denominator, mode, zeroIsNegative);
}

/** The product as it is, or undefined where it is not a number. */
function productOf(a: Parts, b: Parts): Parts | undefined {
  const isNegative = a.isNegative !== b.isNegative;
  const none = { isNegative, numerator: 0n, denominator: 1n };
  if ((isInfinite(a) && isZero(b)) || (isZero(a) && isInfinite(b))) return undefined;
  if (isInfinite(a) || isInfinite(b)) return { ...none, kind: 'infinite' };
  if (isZero(a) || isZero(b)) return { ...none, kind: 'zero' };
  return {
    kind: 'finite',
    isNegative,
    numerator: a.numerator * b.numerator,
    denominator: a.denominator * b.denominator,
  };
}

export function add(format: Format, a: bigint, b: bigint, mode: Mode): Result {
  return addParts(format, partsOf(format, a), partsOf(format, b), mode);
}

export function sub(format: Format, a: bigint, b: bigint, mode: Mode): Result {
  return add(format, a, b ^ (1n << BigInt(format.bits - 1)), mode);
}

export function mul(format: Format, a: bigint, b: bigint, mode: Mode): Result {
  const [x, y] = [partsOf(format, a), partsOf(format, b)];
  if (isNan(x) || isNan(y)) return nanResult(format, x, y);
  const product = productOf(x, y);
  if (product === undefined) return invalid(format);
  if (isInfinite(product)) return infinite(format, product.isNegative);
  const { denominator, isNegative } = product;
  return roundRational(format, signedNumerator(product), denominator, mode, isNegative);
}

export function fma(format: Format, a: bigint, b: bigint, c: bigint, mode: Mode): Result {
  const [x, y, z] = [partsOf(format, a), partsOf(format, b), partsOf(format, c)];
  const product = isNan(x) || isNan(y) ? x : productOf(x, y);
  if (product === undefined) return invalid(format);
  if (isNan(x) || isNan(y) || isNan(z)) return nanResult(format, x, y, z);
  return addParts(format, product, z, mode);
}

export function div(format: Format, a: bigint, b: bigint, mode: Mode): Result {
  const [x, y] = [partsOf(format, a), partsOf(format, b)];
  if (isNan(x) || isNan(y)) return nanResult(format, x, y);
  const isNegative = x.isNegative !== y.isNegative;
  if ((isInfinite(x) && isInfinite(y)) || (isZero(x) && isZero(y))) return invalid(format);
  if (isInfinite(x)) return infinite(format, isNegative);
  if (isZero(y)) return { ...infinite(format, isNegative), flags: DZ };
  if (isInfinite(y) || isZero(x)) return zero(format, isNegative);
  const numerator = x.numerator * y.denominator;
  const denominator = x.denominator * y.numerator;
  return roundRational(format, isNegative ? -numerator : numerator, denominator, mode, isNegative);
}

/** The largest whole number whose square is not above it, by Newton from above. */
function integerRoot(square: bigint): bigint {
  if (square === 0n) return 0n;
  let root = 1n << BigInt((bitLength(square) + 1) >> 1);
  for (;;) {
    const next = (root + square / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export function sqrt(format: Format, a: bigint, mode: Mode): Result {
  const x = partsOf(format, a);
  if (isNan(x)) return nanResult(format, x);
  if (isZero(x)) return exact(a);
  if (x.isNegative) return invalid(format);
  if (isInfinite(x)) return infinite(format, false);
  const square = fraction(x.numerator, x.denominator);
  // In units of u the root is that of the square in units of u * u.
  const root: Real = (exponent) => {
    const { floor: units, isWhole } = square(2 * exponent);
    const floor = integerRoot(units);
    return { floor, isWhole: isWhole && floor * floor === units };
  };
  const near = (bitLength(x.numerator) - bitLength(x.denominator)) >> 1;
  return round(format, false, root, near, mode);
}

/** From one format to the other. */
export function convert(from: Format, to: Format, a: bigint, mode: Mode): Result {
  const x = partsOf(from, a);
  if (isNan(x)) return nanResult(to, x);
  if (isInfinite(x)) return infinite(to, x.isNegative);
  return roundRational(to, signedNumerator(x), x.denominator, mode, x.isNegative);
}

export interface IntegerType {
  readonly bits: 32 | 64;
  readonly isSigned: boolean;
}

/** As a register of 64 bits holds it: results of 32 bits sign-extended, whatever they are. */
export function toInteger(format: Format, type: IntegerType, a: bigint, mode: Mode): Result {
  const x = partsOf(format, a);
  const bits = BigInt(type.bits);
  const most = type.isSigned ? (1n << (bits - 1n)) - 1n : (1n << bits) - 1n;
  const least = type.isSigned ? -(1n << (bits - 1n)) : 0n;
  const held = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(type.bits, value));
  if (isNan(x)) return { value: held(most), flags: NV };
  if (isInfinite(x)) return { value: held(x.isNegative ? least : most), flags: NV };
  const real = fraction(x.numerator, x.denominator);
  const { units, isExact } = roundToUnits(real, 0, x.isNegative, mode);
  const whole = x.isNegative ? -units : units;
  if (whole > most || whole < least) {
    return { value: held(x.isNegative ? least : most), flags: NV };
  }
  return { value: held(whole), flags: isExact ? 0 : NX };
}

export function fromInteger(
  format: Format,
  type: IntegerType,
  register: bigint,
  mode: Mode,
): Result {
  const value = type.isSigned
    ? BigInt.asIntN(type.bits, register)
    : BigInt.asUintN(type.bits, register);
  return roundRational(format, value, 1n, mode, false);
}

/** Below zero when a is the lesser one. -0 equals +0; neither is a NaN. */
function compare(a: Parts, b: Parts): number {
  const rank = (x: Parts) => (isInfinite(x) ? (x.isNegative ? -1 : 1) : 0);
  if (rank(a) !== 0 || rank(b) !== 0) return rank(a) - rank(b);
  const difference = signedNumerator(a) * b.denominator - signedNumerator(b) * a.denominator;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export type Relation = 'eq' | 'lt' | 'le';

export function relate(format: Format, relation: Relation, a: bigint, b: bigint): Result {
  const [x, y] = [partsOf(format, a), partsOf(format, b)];
  const isSignalled = x.kind === 'signalling' || y.kind === 'signalling';
  if (isNan(x) || isNan(y)) {
    return { value: 0n, flags: isSignalled || relation !== 'eq' ? NV : 0 };
  }
  const order = compare(x, y);
  const holds = { eq: order === 0, lt: order < 0, le: order <= 0 }[relation];
  return exact(holds ? 1n : 0n);
}

export function extreme(format: Format, which: 'min' | 'max', a: bigint, b: bigint): Result {
  const [x, y] = [partsOf(format, a), partsOf(format, b)];
  const flags = x.kind === 'signalling' || y.kind === 'signalling' ? NV : 0;
  if (isNan(x) && isNan(y)) return { value: nanOf(format), flags };
  if (isNan(x)) return { value: b, flags };
  if (isNan(y)) return { value: a, flags };
  const order = compare(x, y);
  const isLesser = order < 0 || (order === 0 && x.isNegative);
  return exact(isLesser === (which === 'min') ? a : b);
}

/** The mask of fclass. */
export function classify(format: Format, a: bigint): Result {
  const x = partsOf(format, a);
  if (isNan(x)) return exact(x.kind === 'signalling' ? 1n << 8n : 1n << 9n);
  const leastNormal = 1n << BigInt(format.fractionBits);
  const isSubnormal = BigInt.asUintN(format.bits - 1, a) < leastNormal;
  const above = isZero(x) ? 4 : isInfinite(x) ? 7 : isSubnormal ? 5 : 6;
  return exact(1n << BigInt(x.isNegative ? 7 - above : above));
}
