// Between the formats, and from and to integers as the registers hold them: 32-bit results are
// sign-extended, also unsigned ones.
import {
  DOWN, INEXACT, INVALID, NEAREST_EVEN, raise, TOWARD_ZERO, UP,
} from './flags';
import {
  exponentOf, isNan, isNan32, isSignalling, isSignalling32, NAN, NAN_32, significandOf, widen,
} from './format';
import { round } from './rounding';

const LEAST_NORMAL_32: f32 = 1.1754943508222875e-38;
// Up to these each integer is a number of the format.
const EXACT_64: u64 = 1 << 53;
const EXACT_32: u64 = 1 << 24;

export function f64_from_f32(a: u32): u64 {
  if (!isNan32(a)) return widen(a);
  if (isSignalling32(a)) raise(INVALID);
  return NAN;
}

export function f32_from_f64(a: u64, rm: u32): u32 {
  const x = reinterpret<f64>(a), narrow = <f32>x;
  // Infinities and zeros too.
  if (<f64>narrow == x) return reinterpret<u32>(narrow);
  if (isNan(a)) {
    if (isSignalling(a)) raise(INVALID);
    return NAN_32;
  }
  const size = abs<f32>(narrow);
  if (rm == NEAREST_EVEN && size > LEAST_NORMAL_32 && size < Infinity) {
    raise(INEXACT);
    return reinterpret<u32>(narrow);
  }
  return <u32>round(a >> 63, exponentOf(a), significandOf(a), rm, true);
}

function toIntegral(x: f64, rm: u32): f64 {
  if (rm == TOWARD_ZERO) return trunc<f64>(x);
  if (rm == NEAREST_EVEN) return nearest<f64>(x);
  if (rm == DOWN) return floor<f64>(x);
  if (rm == UP) return ceil<f64>(x);
  const whole = trunc<f64>(x);
  return abs(x - whole) >= 0.5 ? whole + copysign<f64>(1, x) : whole;
}

// Only a number that is out of range when it has been rounded is invalid, and then it is not
// inexact besides.
@inline function raiseInexact(x: f64, whole: f64): void {
  if (x != whole) raise(INEXACT);
}

// A NaN is taken for the largest number.
@inline function saturate(x: f64, least: u64, most: u64): u64 {
  raise(INVALID);
  return x < 0 ? least : most;
}

@inline function toI32(x: f64, rm: u32): u64 {
  const whole = toIntegral(x, rm);
  if (!(whole >= -2147483648.0 && whole <= 2147483647.0)) {
    return saturate(x, 0xFFFFFFFF80000000, 0x7FFFFFFF);
  }
  raiseInexact(x, whole);
  return <u64><i64><i32>whole;
}

@inline function toU32(x: f64, rm: u32): u64 {
  const whole = toIntegral(x, rm);
  if (!(whole >= 0 && whole <= 4294967295.0)) return saturate(x, 0, 0xFFFFFFFFFFFFFFFF);
  raiseInexact(x, whole);
  return <u64><i64><i32><u32>whole;
}

@inline function toI64(x: f64, rm: u32): u64 {
  const whole = toIntegral(x, rm);
  if (!(whole >= -9223372036854775808.0 && whole < 9223372036854775808.0)) {
    return saturate(x, 0x8000000000000000, 0x7FFFFFFFFFFFFFFF);
  }
  raiseInexact(x, whole);
  return <u64><i64>whole;
}

@inline function toU64(x: f64, rm: u32): u64 {
  const whole = toIntegral(x, rm);
  if (!(whole >= 0 && whole < 18446744073709551616.0)) return saturate(x, 0, 0xFFFFFFFFFFFFFFFF);
  raiseInexact(x, whole);
  return <u64>whole;
}

@inline function fromBits32(a: u32): f64 {
  return <f64>reinterpret<f32>(a);
}

export function f64_to_i32(a: u64, rm: u32): u64 { return toI32(reinterpret<f64>(a), rm); }
export function f64_to_u32(a: u64, rm: u32): u64 { return toU32(reinterpret<f64>(a), rm); }
export function f64_to_i64(a: u64, rm: u32): u64 { return toI64(reinterpret<f64>(a), rm); }
export function f64_to_u64(a: u64, rm: u32): u64 { return toU64(reinterpret<f64>(a), rm); }
export function f32_to_i32(a: u32, rm: u32): u64 { return toI32(fromBits32(a), rm); }
export function f32_to_u32(a: u32, rm: u32): u64 { return toU32(fromBits32(a), rm); }
export function f32_to_i64(a: u32, rm: u32): u64 { return toI64(fromBits32(a), rm); }
export function f32_to_u64(a: u32, rm: u32): u64 { return toU64(fromBits32(a), rm); }

function roundInteger(sign: u64, size: u64, rm: u32, single: bool): u64 {
  const shift = <i32>clz<u64>(size);
  return round(sign, 63 - shift, size << shift, rm, single);
}

@inline function sizeOf(v: i64): u64 {
  return <u64>(v < 0 ? -v : v);
}

export function f64_from_i64(v: u64, rm: u32): u64 {
  const size = sizeOf(<i64>v);
  if (size <= EXACT_64) return reinterpret<u64>(<f64><i64>v);
  return roundInteger(v >> 63, size, rm, false);
}

export function f64_from_u64(v: u64, rm: u32): u64 {
  if (v <= EXACT_64) return reinterpret<u64>(<f64>v);
  return roundInteger(0, v, rm, false);
}

export function f32_from_i64(v: u64, rm: u32): u32 {
  const size = sizeOf(<i64>v);
  if (size <= EXACT_32) return reinterpret<u32>(<f32><i64>v);
  return <u32>roundInteger(v >> 63, size, rm, true);
}

export function f32_from_u64(v: u64, rm: u32): u32 {
  if (v <= EXACT_32) return reinterpret<u32>(<f32>v);
  return <u32>roundInteger(0, v, rm, true);
}

// Of a register only its low half counts.
export function f64_from_i32(v: u64, rm: u32): u64 { return reinterpret<u64>(<f64><i32>v); }
export function f64_from_u32(v: u64, rm: u32): u64 { return reinterpret<u64>(<f64><u32>v); }
export function f32_from_i32(v: u64, rm: u32): u32 { return f32_from_i64(<u64><i64><i32>v, rm); }
export function f32_from_u32(v: u64, rm: u32): u32 { return f32_from_u64(<u64><u32>v, rm); }
