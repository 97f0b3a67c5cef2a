// The arithmetic of D. Each function begins with what the machine's own instruction gets right and
// whose flags are known at once; all else goes to exact.ts.
//
// A result above the least normal number was not tiny, and a finite one did not overflow. So only
// INEXACT is left to find out, and where it is raised already, nothing.
import { exactAdd, exactDiv, exactFma, exactMul, exactSqrt } from './exact';
import { isExactSum, isInProductRange, productError, sumError } from './error-terms';
import { INEXACT, isInexactRaised, NEAREST_EVEN, raise } from './flags';
import { SIGN } from './format';

const LEAST_NORMAL: f64 = 2.2250738585072014e-308;
// The largest c that f64_fma() adds to a product natively.
const ADDEND_BOUND: f64 = 1e300;

@inline function isPlain(size: f64): bool {
  return size > LEAST_NORMAL && size < Infinity;
}

@inline function toBits(x: f64): u64 {
  return reinterpret<u64>(x);
}

export function f64_add(a: u64, b: u64, rm: u32): u64 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f64>(a), y = reinterpret<f64>(b);
    const sum = x + y;
    // A sum that is subnormal or zero is exact.
    if (abs(sum) < Infinity) {
      if (isInexactRaised()) return toBits(sum);
      if (!isExactSum(x, y, sum)) raise(INEXACT);
      return toBits(sum);
    }
  }
  return exactAdd(a, b, rm, false);
}

export function f64_sub(a: u64, b: u64, rm: u32): u64 {
  return f64_add(a, b ^ SIGN, rm);
}

export function f64_mul(a: u64, b: u64, rm: u32): u64 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f64>(a), y = reinterpret<f64>(b);
    const product = x * y, size = abs(product);
    if (isPlain(size)) {
      if (isInexactRaised()) return toBits(product);
      if (isInProductRange(x, y, size)) {
        if (productError(x, y, product) != 0) raise(INEXACT);
        return toBits(product);
      }
    } else if (size == 0 && (x == 0 || y == 0)) return toBits(product);
  }
  return exactMul(a, b, rm, false);
}

export function f64_div(a: u64, b: u64, rm: u32): u64 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f64>(a), y = reinterpret<f64>(b);
    const quotient = x / y, size = abs(quotient);
    if (isPlain(size)) {
      if (isInexactRaised()) return toBits(quotient);
      if (isInProductRange(quotient, y, abs(x))) {
        const product = quotient * y;
        if (product != x || productError(quotient, y, product) != 0) raise(INEXACT);
        return toBits(quotient);
      }
    } else if (size == 0 && x == 0) return toBits(quotient);
  }
  return exactDiv(a, b, rm, false);
}

export function f64_sqrt(a: u64, rm: u32): u64 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f64>(a);
    const root = sqrt<f64>(x);
    // The root of a positive number is never near to overflow or underflow.
    if (root > 0 && root < Infinity) {
      if (isInexactRaised()) return toBits(root);
      if (isInProductRange(root, root, x)) {
        const square = root * root;
        if (square != x || productError(root, root, square) != 0) raise(INEXACT);
        return toBits(root);
      }
    }
  }
  return exactSqrt(a, rm, false);
}

// a * b + c. The exact result is sum + (t + e), where t and e are what the rounding of sum and
// product took off. Its second part is rounded once more, which could matter only where sum and
// that part lie midway between two numbers: then the part has few digits, because it is at most a
// few units in the last place of sum. If one of t and e is zero, it was not rounded. A part that
// was, and has many digits, has some below those of the result, so that this one is inexact.
export function f64_fma(a: u64, b: u64, c: u64, rm: u32): u64 {
  if (rm == NEAREST_EVEN) {
    const x = reinterpret<f64>(a), y = reinterpret<f64>(b), z = reinterpret<f64>(c);
    const product = x * y, sum = product + z;
    if (isInProductRange(x, y, abs(product)) && abs(z) < ADDEND_BOUND) {
      const e = productError(x, y, product), t = sumError(product, z, sum);
      const part = t + e, result = sum + part;
      if (<u32>toBits(part) != 0 || t == 0 || e == 0) {
        if (isInexactRaised()) return toBits(result);
        if (!isExactSum(sum, part, result)) raise(INEXACT);
        return toBits(result);
      }
    } else if (product == 0 && (x == 0 || y == 0) && abs(z) < Infinity) return toBits(sum);
  }
  return exactFma(a, b, c, rm, false);
}
