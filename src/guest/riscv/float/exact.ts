// Arithmetic by integers: any operands, any mode, all flags. The operands are binary64; a result
// that shall be `single` is rounded once, to binary32.
import { DIVIDE_BY_ZERO, DOWN, INVALID, raise } from './flags';
import {
  exponentOf, infinity, INFINITY, isNan, isSignalling, MAGNITUDE, nan, SIGN, significandOf, zero,
} from './format';
import { round, shiftRightSticky } from './rounding';

function invalid(single: bool): u64 {
  raise(INVALID);
  return nan(single);
}

// The result when one of them is a NaN.
function quietNan(a: u64, b: u64, single: bool): u64 {
  return isSignalling(a) || isSignalling(b) ? invalid(single) : nan(single);
}

// What an exact difference of zero is.
@inline function zeroDifference(rm: u32, single: bool): u64 {
  return zero(<u64>(rm == DOWN), single);
}

@inline function roundOf(a: u64, rm: u32, single: bool): u64 {
  return round(a >> 63, exponentOf(a), significandOf(a), rm, single);
}

export function exactAdd(a: u64, b: u64, rm: u32, single: bool): u64 {
  if (isNan(a) || isNan(b)) return quietNan(a, b, single);
  const sizeA = a & MAGNITUDE, sizeB = b & MAGNITUDE;
  const isDifference = ((a ^ b) & SIGN) != 0;
  if (sizeA == INFINITY || sizeB == INFINITY) {
    if (sizeA == sizeB && isDifference) return invalid(single);
    return infinity((sizeA == INFINITY ? a : b) >> 63, single);
  }
  if (sizeA == 0 && sizeB == 0) return isDifference ? zeroDifference(rm, single) : zero(a >> 63, single);
  if (sizeA == 0) return roundOf(b, rm, single);
  if (sizeB == 0) return roundOf(a, rm, single);
  const larger = sizeA < sizeB ? b : a, smaller = sizeA < sizeB ? a : b;
  const exponent = exponentOf(larger);
  // One bit of room for a carry: the lowest bits of both are zero.
  const x = significandOf(larger) >> 1;
  const y = shiftRightSticky(significandOf(smaller) >> 1, exponent - exponentOf(smaller));
  const sum = isDifference ? x - y : x + y;
  if (sum == 0) return zeroDifference(rm, single);
  const shift = <i32>clz<u64>(sum);
  return round(larger >> 63, exponent + 1 - shift, sum << shift, rm, single);
}

// The low half of the last product; its high half is what highProduct() returns.
let productLow: u64 = 0;

function highProduct(a: u64, b: u64): u64 {
  const a0 = a & 0xFFFFFFFF, a1 = a >> 32, b0 = b & 0xFFFFFFFF, b1 = b >> 32;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >> 32);
  const other = a0 * b1 + (middle & 0xFFFFFFFF);
  productLow = (other << 32) | (low & 0xFFFFFFFF);
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

export function exactMul(a: u64, b: u64, rm: u32, single: bool): u64 {
  if (isNan(a) || isNan(b)) return quietNan(a, b, single);
  const sign = (a ^ b) >> 63;
  const sizeA = a & MAGNITUDE, sizeB = b & MAGNITUDE;
  if (sizeA == INFINITY || sizeB == INFINITY) {
    return sizeA == 0 || sizeB == 0 ? invalid(single) : infinity(sign, single);
  }
  if (sizeA == 0 || sizeB == 0) return zero(sign, single);
  const high = highProduct(significandOf(a), significandOf(b));
  const product = high | <u64>(productLow != 0);
  const shift = <i32>clz<u64>(high);
  return round(sign, exponentOf(a) + exponentOf(b) + 1 - shift, product << shift, rm, single);
}

export function exactDiv(a: u64, b: u64, rm: u32, single: bool): u64 {
  if (isNan(a) || isNan(b)) return quietNan(a, b, single);
  const sign = (a ^ b) >> 63;
  const sizeA = a & MAGNITUDE, sizeB = b & MAGNITUDE;
  if (sizeA == INFINITY) return sizeB == INFINITY ? invalid(single) : infinity(sign, single);
  if (sizeB == INFINITY) return zero(sign, single);
  if (sizeB == 0) {
    if (sizeA == 0) return invalid(single);
    raise(DIVIDE_BY_ZERO);
    return infinity(sign, single);
  }
  if (sizeA == 0) return zero(sign, single);
  let exponent = exponentOf(a) - exponentOf(b);
  let rest = significandOf(a) >> 11;
  const divisor = significandOf(b) >> 11;
  if (rest < divisor) {
    rest <<= 1;
    exponent--;
  }
  // By hand, eleven bits of the quotient at a time: as many as fit above the 53 of the rest.
  let quotient: u64 = 1;
  rest -= divisor;
  for (let digits = 0; digits < 5; digits++) {
    rest <<= 11;
    const digit = rest / divisor;
    quotient = (quotient << 11) | digit;
    rest -= digit * divisor;
  }
  return round(sign, exponent, (quotient << 8) | <u64>(rest != 0), rm, single);
}

export function exactSqrt(a: u64, rm: u32, single: bool): u64 {
  if (isNan(a)) return quietNan(a, a, single);
  if ((a & MAGNITUDE) == 0) return zero(a >> 63, single);
  if (a >> 63 != 0) return invalid(single);
  if (a == INFINITY) return infinity(0, single);
  const exponent = exponentOf(a);
  // From 1 up to 4, its first two bits before the point.
  let digits = (exponent & 1) != 0 ? significandOf(a) : significandOf(a) >> 1;
  // By hand, one bit of the root for two of the number; root and rest fit with room to spare.
  let root: u64 = 0, rest: u64 = 0;
  for (let step = 0; step < 56; step++) {
    rest = (rest << 2) | (digits >> 62);
    digits <<= 2;
    const trial = (root << 2) | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  return round(0, exponent >> 1, (root << 8) | <u64>(rest != 0), rm, single);
}

// a * b + c
export function exactFma(a: u64, b: u64, c: u64, rm: u32, single: bool): u64 {
  const sizeA = a & MAGNITUDE, sizeB = b & MAGNITUDE, sizeC = c & MAGNITUDE;
  // Invalid before a quiet NaN in c counts: the ISA asks for it.
  if ((sizeA == INFINITY && sizeB == 0) || (sizeA == 0 && sizeB == INFINITY)) return invalid(single);
  if (isNan(a) || isNan(b) || isNan(c)) {
    return isSignalling(c) ? invalid(single) : quietNan(a, b, single);
  }
  const sign = (a ^ b) >> 63;
  const isDifference = sign != c >> 63;
  if (sizeA == INFINITY || sizeB == INFINITY) {
    return sizeC == INFINITY && isDifference ? invalid(single) : infinity(sign, single);
  }
  if (sizeC == INFINITY) return infinity(c >> 63, single);
  if (sizeA == 0 || sizeB == 0) {
    if (sizeC != 0) return roundOf(c, rm, single);
    return isDifference ? zeroDifference(rm, single) : zero(sign, single);
  }
  if (sizeC == 0) return exactMul(a, b, rm, single);
  let high = highProduct(significandOf(a), significandOf(b)), low = productLow;
  let exponent = exponentOf(a) + exponentOf(b) + 1;
  if (high >> 63 == 0) {
    high = (high << 1) | (low >> 63);
    low <<= 1;
    exponent--;
  }
  return addProduct(sign, exponent, high, low, c, isDifference, rm, single);
}

// The product has its top bit set and at least 22 zeros at its end, so that halving it and, where
// digits cancel, moving it by one more loses nothing.
function addProduct(
  sign: u64, exponent: i32, high: u64, low: u64, c: u64, isDifference: bool, rm: u32, single: bool,
): u64 {
  const exponentC = exponentOf(c), significandC = significandOf(c);
  let distance = exponent - exponentC;
  const isProductLarger = distance != 0 ? distance > 0 : high >= significandC;
  // One bit of room for a carry.
  let xHigh = high >> 1, xLow = (high << 63) | (low >> 1);
  let yHigh = significandC >> 1, yLow: u64 = 0;
  if (!isProductLarger) {
    yHigh = xHigh;
    yLow = xLow;
    xHigh = significandC >> 1;
    xLow = 0;
    sign = c >> 63;
    exponent = exponentC;
    distance = -distance;
  }
  if (distance >= 64) {
    yLow = shiftRightSticky(yHigh | <u64>(yLow != 0), distance - 64);
    yHigh = 0;
  } else if (distance > 0) {
    yLow = (yHigh << (64 - distance)) | shiftRightSticky(yLow, distance);
    yHigh >>= distance;
  }
  let sumHigh: u64, sumLow: u64;
  if (isDifference) {
    sumLow = xLow - yLow;
    sumHigh = xHigh - yHigh - <u64>(xLow < yLow);
  } else {
    sumLow = xLow + yLow;
    sumHigh = xHigh + yHigh + <u64>(sumLow < xLow);
  }
  if (sumHigh == 0) {
    if (sumLow == 0) return zeroDifference(rm, single);
    sumHigh = sumLow;
    sumLow = 0;
    exponent -= 64;
  }
  const shift = <i32>clz<u64>(sumHigh);
  if (shift != 0) {
    sumHigh = (sumHigh << shift) | (sumLow >> (64 - shift));
    sumLow <<= shift;
  }
  return round(sign, exponent + 1 - shift, sumHigh | <u64>(sumLow != 0), rm, single);
}
