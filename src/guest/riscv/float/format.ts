// The parts of a binary64, and of the binary32 that is calculated with as the binary64 of the same
// value. `single` says which of the two a result shall be; it is then in the low half.

export const SIGN: u64 = 0x8000000000000000;
export const MAGNITUDE: u64 = 0x7FFFFFFFFFFFFFFF;
export const INFINITY: u64 = 0x7FF0000000000000;
export const NAN: u64 = 0x7FF8000000000000;
export const FRACTION: u64 = 0x000FFFFFFFFFFFFF;
export const QUIET: u64 = 0x0008000000000000;

export const SIGN_32: u32 = 0x80000000;
export const MAGNITUDE_32: u32 = 0x7FFFFFFF;
export const INFINITY_32: u32 = 0x7F800000;
export const NAN_32: u32 = 0x7FC00000;
export const FRACTION_32: u32 = 0x007FFFFF;
export const QUIET_32: u32 = 0x00400000;

@inline export function isNan(a: u64): bool {
  return (a & MAGNITUDE) > INFINITY;
}

@inline export function isSignalling(a: u64): bool {
  return isNan(a) && (a & QUIET) == 0;
}

@inline export function isNan32(a: u32): bool {
  return (a & MAGNITUDE_32) > INFINITY_32;
}

@inline export function isSignalling32(a: u32): bool {
  return isNan32(a) && (a & QUIET_32) == 0;
}

@inline export function nan(single: bool): u64 {
  return single ? <u64>NAN_32 : NAN;
}

@inline export function infinity(sign: u64, single: bool): u64 {
  return single ? (sign << 31) | <u64>INFINITY_32 : (sign << 63) | INFINITY;
}

@inline export function zero(sign: u64, single: bool): u64 {
  return sign << (single ? 31 : 63);
}

// Of a finite number that is not zero: it is significand / 2^63 * 2^exponent, and the significand
// has its top bit set, also where the format has no such bit.
@inline export function exponentOf(a: u64): i32 {
  const field = <i32>(a >> 52) & 0x7FF;
  return field != 0 ? field - 1023 : -1011 - <i32>clz<u64>(a & FRACTION);
}

@inline export function significandOf(a: u64): u64 {
  const fraction = a & FRACTION;
  return (a & INFINITY) != 0 ? (a << 11) | SIGN : fraction << clz<u64>(fraction);
}

// The binary64 of the same value. By hand for a NaN, because the machine's own instruction would
// make it quiet.
export function widen(a: u32): u64 {
  if (!isNan32(a)) return reinterpret<u64>(<f64>reinterpret<f32>(a));
  return INFINITY | (<u64>(a & FRACTION_32) << 29);
}
