// The upper 64 bits of products.
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const cross = aLow * bHigh + (middle & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

export function multiplyHighSigned(a: u64, b: u64): u64 {
  return multiplyHigh(a, b) - (<i64>a < 0 ? b : 0) - (<i64>b < 0 ? a : 0);
}

export function multiplyHighMixed(a: u64, b: u64): u64 {
  return multiplyHigh(a, b) - (<i64>a < 0 ? b : 0);
}
