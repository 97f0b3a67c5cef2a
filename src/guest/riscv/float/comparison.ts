// Comparisons, the lesser and the greater number, and the classes of numbers.
import { INVALID, raise } from './flags';
import {
  INFINITY, INFINITY_32, isNan, isNan32, isSignalling, isSignalling32, MAGNITUDE, MAGNITUDE_32, NAN,
  NAN_32, QUIET, QUIET_32, SIGN, SIGN_32,
} from './format';

const LEAST_NORMAL: u64 = 0x0010000000000000;
const LEAST_NORMAL_32: u32 = 0x00800000;

// Of two that are not NaN: -0 is below +0. Read as integers, negative ones run backwards.
@inline function isBelow(a: u64, b: u64): bool {
  const x = <i64>a, y = <i64>b;
  return (x ^ ((x >> 63) & <i64>MAGNITUDE)) < (y ^ ((y >> 63) & <i64>MAGNITUDE));
}

@inline function isBelow32(a: u32, b: u32): bool {
  const x = <i32>a, y = <i32>b;
  return (x ^ ((x >> 31) & <i32>MAGNITUDE_32)) < (y ^ ((y >> 31) & <i32>MAGNITUDE_32));
}

// The number beside a NaN, as minimumNumber and maximumNumber of IEEE 754-2019 have it.
function numberOf(a: u64, b: u64): u64 {
  if (isSignalling(a) || isSignalling(b)) raise(INVALID);
  return !isNan(a) ? a : !isNan(b) ? b : NAN;
}

function numberOf32(a: u32, b: u32): u32 {
  if (isSignalling32(a) || isSignalling32(b)) raise(INVALID);
  return !isNan32(a) ? a : !isNan32(b) ? b : NAN_32;
}

export function f64_min(a: u64, b: u64): u64 {
  if (isNan(a) || isNan(b)) return numberOf(a, b);
  return isBelow(b, a) ? b : a;
}

export function f64_max(a: u64, b: u64): u64 {
  if (isNan(a) || isNan(b)) return numberOf(a, b);
  return isBelow(a, b) ? b : a;
}

export function f32_min(a: u32, b: u32): u32 {
  if (isNan32(a) || isNan32(b)) return numberOf32(a, b);
  return isBelow32(b, a) ? b : a;
}

export function f32_max(a: u32, b: u32): u32 {
  if (isNan32(a) || isNan32(b)) return numberOf32(a, b);
  return isBelow32(a, b) ? b : a;
}

// Equality is quiet: only a signalling NaN is invalid. Order is not defined for any NaN.
export function f64_eq(a: u64, b: u64): u32 {
  if (isSignalling(a) || isSignalling(b)) raise(INVALID);
  return <u32>(reinterpret<f64>(a) == reinterpret<f64>(b));
}

export function f64_lt(a: u64, b: u64): u32 {
  if (isNan(a) || isNan(b)) raise(INVALID);
  return <u32>(reinterpret<f64>(a) < reinterpret<f64>(b));
}

export function f64_le(a: u64, b: u64): u32 {
  if (isNan(a) || isNan(b)) raise(INVALID);
  return <u32>(reinterpret<f64>(a) <= reinterpret<f64>(b));
}

export function f32_eq(a: u32, b: u32): u32 {
  if (isSignalling32(a) || isSignalling32(b)) raise(INVALID);
  return <u32>(reinterpret<f32>(a) == reinterpret<f32>(b));
}

export function f32_lt(a: u32, b: u32): u32 {
  if (isNan32(a) || isNan32(b)) raise(INVALID);
  return <u32>(reinterpret<f32>(a) < reinterpret<f32>(b));
}

export function f32_le(a: u32, b: u32): u32 {
  if (isNan32(a) || isNan32(b)) raise(INVALID);
  return <u32>(reinterpret<f32>(a) <= reinterpret<f32>(b));
}

// The masks of fclass: from -infinity over the zeros, bits 3 and 4, up to +infinity; then the NaNs.
@inline function classOfNumber(isNegative: bool, isZero: bool, isSubnormal: bool, isInfinite: bool): u32 {
  const place: u32 = isZero ? 4 : isSubnormal ? 5 : isInfinite ? 7 : 6;
  return 1 << (isNegative ? 7 - place : place);
}

export function f64_class(a: u64): u32 {
  if (isNan(a)) return (a & QUIET) != 0 ? 0x200 : 0x100;
  const size = a & MAGNITUDE;
  return classOfNumber((a & SIGN) != 0, size == 0, size < LEAST_NORMAL, size == INFINITY);
}

export function f32_class(a: u32): u32 {
  if (isNan32(a)) return (a & QUIET_32) != 0 ? 0x200 : 0x100;
  const size = a & MAGNITUDE_32;
  return classOfNumber((a & SIGN_32) != 0, size == 0, size < LEAST_NORMAL_32, size == INFINITY_32);
}
