// The arithmetic of F. As in binary64.ts; binary64 holds the exact product of two binary32, which
// tells at once whether a result is exact.
import { exactAdd, exactDiv, exactFma, exactMul, exactSqrt } from './exact';
import { isExactSum } from './error-terms';
import { INEXACT, isInexactRaised, NEAREST_EVEN, raise } from './flags';
import { SIGN_32, widen } from './format';

const LEAST_NORMAL: f32 = 1.1754943508222875e-38;

@inline function isPlain(size: f32): bool {
  return size > LEAST_NORMAL && size < Infinity;
}

@inline function toBits(x: f32): u32 {
  return reinterpret<u32>(x);
}

export function f32_add(a: u32, b: u32, rm: u32): u32 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f32>(a), y = reinterpret<f32>(b);
    const sum = x + y;
    // A sum that is subnormal or zero is exact.
    if (abs<f32>(sum) < Infinity) {
      if (isInexactRaised()) return toBits(sum);
      if (!isExactSum<f32>(x, y, sum)) raise(INEXACT);
      return toBits(sum);
    }
  }
  return <u32>exactAdd(widen(a), widen(b), rm, true);
}

export function f32_sub(a: u32, b: u32, rm: u32): u32 {
  return f32_add(a, b ^ SIGN_32, rm);
}

export function f32_mul(a: u32, b: u32, rm: u32): u32 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f32>(a), y = reinterpret<f32>(b);
    const product = x * y, size = abs<f32>(product);
    if (isPlain(size)) {
      if (isInexactRaised()) return toBits(product);
      if (<f64>product != <f64>x * <f64>y) raise(INEXACT);
      return toBits(product);
    }
    if (size == 0 && (x == 0 || y == 0)) return toBits(product);
  }
  return <u32>exactMul(widen(a), widen(b), rm, true);
}

export function f32_div(a: u32, b: u32, rm: u32): u32 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f32>(a), y = reinterpret<f32>(b);
    const quotient = x / y, size = abs<f32>(quotient);
    if (isPlain(size)) {
      if (isInexactRaised()) return toBits(quotient);
      if (<f64>quotient * <f64>y != <f64>x) raise(INEXACT);
      return toBits(quotient);
    }
    if (size == 0 && x == 0) return toBits(quotient);
  }
  return <u32>exactDiv(widen(a), widen(b), rm, true);
}

export function f32_sqrt(a: u32, rm: u32): u32 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f32>(a);
    const root = sqrt<f32>(x);
    if (root > 0 && root < Infinity) {
      if (isInexactRaised()) return toBits(root);
      if (<f64>root * <f64>root != <f64>x) raise(INEXACT);
      return toBits(root);
    }
  }
  return <u32>exactSqrt(widen(a), rm, true);
}

// a * b + c. The product is exact in binary64, the sum is rounded there and then to binary32. The
// second rounding is misled by the first one only midway between two numbers.
export function f32_fma(a: u32, b: u32, c: u32, rm: u32): u32 {
  if (rm == NEAREST_EVEN) {
    const product = <f64>reinterpret<f32>(a) * <f64>reinterpret<f32>(b);
    const z = <f64>reinterpret<f32>(c);
    const sum = product + z, result = <f32>sum;
    const isMidway = (reinterpret<u64>(sum) & 0x1FFFFFFF) == 0x10000000;
    if (isPlain(abs<f32>(result)) && !isMidway) {
      if (isInexactRaised()) return toBits(result);
      if (<f64>result != sum || !isExactSum(product, z, sum)) raise(INEXACT);
      return toBits(result);
    }
    if (<f64>result == sum && isExactSum(product, z, sum)) return toBits(result);
  }
  return <u32>exactFma(widen(a), widen(b), widen(c), rm, true);
}
