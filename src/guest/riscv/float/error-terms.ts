// What rounding to the nearest took off a sum or a product, found by the machine's own arithmetic:
// cheaper than integers. All of it holds for rounding to the nearest even alone.

// Below it and with a product inside of these bounds nothing in productError() overflows, and the
// error is a multiple of what binary64 can hold.
const FACTOR_BOUND: f64 = 1e290;
const PRODUCT_LEAST: f64 = 1e-270;
const PRODUCT_BOUND: f64 = 1e300;
// 2^27 + 1: splits 53 bits into two halves, the products of which are exact.
const SPLITTER: f64 = 134217729;

// Whether s, which is a + b rounded and finite, is a + b. The larger operand taken off s leaves the
// other one and the error, exactly (Dekker), so that equality there is proof; which of the two is
// the larger one does not matter when both are tried. Sums do not underflow.
@inline export function isExactSum<T>(a: T, b: T, s: T): bool {
  return s - a == b && s - b == a;
}

// a + b - s, exactly, for any finite a and b whose sum does not overflow (Knuth).
@inline export function sumError(a: f64, b: f64, s: f64): f64 {
  const other = s - a;
  return (a - (s - other)) + (b - other);
}

// Whether productError(a, b, a * b) can be relied on; `size` is |a * b|, or near it. Not for a NaN.
@inline export function isInProductRange(a: f64, b: f64, size: f64): bool {
  return size > PRODUCT_LEAST && size < PRODUCT_BOUND && abs(a) < FACTOR_BOUND && abs(b) < FACTOR_BOUND;
}

// a * b - p, exactly, where p is a * b rounded (Veltkamp, Dekker).
@inline export function productError(a: f64, b: f64, p: f64): f64 {
  const splitA = a * SPLITTER, splitB = b * SPLITTER;
  const a1 = splitA - (splitA - a), b1 = splitB - (splitB - b);
  const a0 = a - a1, b0 = b - b1;
  return a1 * b1 - p + a1 * b0 + a0 * b1 + a0 * b0;
}
