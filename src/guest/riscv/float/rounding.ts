// The one place that rounds: from a significand that is exact but for a sticky bit to a format.
import {
  DOWN, INEXACT, NEAREST_EVEN, OVERFLOW, raise, TOWARD_ZERO, UNDERFLOW, UP,
} from './flags';
import { infinity } from './format';

// What is shifted out stays as a lowest bit that is set. Rounding looks at bits far above it, so it
// stands for any value between two of them.
@inline export function shiftRightSticky(a: u64, count: i32): u64 {
  if (count >= 64) return <u64>(a != 0);
  const kept = a >> count;
  return kept | <u64>(kept << count != a);
}

// The number is significand / 2^63 * 2^exponent, the significand's top bit is set, and its lowest
// bit is sticky.
export function round(sign: u64, exponent: i32, significand: u64, rm: u32, single: bool): u64 {
  return single
    ? roundTo(sign, exponent, significand, rm, true, 23, 127)
    : roundTo(sign, exponent, significand, rm, false, 52, 1023);
}

@inline function roundTo(
  sign: u64, exponent: i32, significand: u64, rm: u32, single: bool, fractionBits: i32, bias: i32,
): u64 {
  const dropped = 63 - fractionBits;
  const mask = (<u64>1 << dropped) - 1, half = <u64>1 << (dropped - 1);
  // Added to what is dropped, it carries when the magnitude shall go up.
  let increment = half;
  if (rm == TOWARD_ZERO) increment = 0;
  else if (rm == DOWN) increment = sign != 0 ? mask : 0;
  else if (rm == UP) increment = sign != 0 ? 0 : mask;

  let field = exponent + bias, isTiny = false;
  if (field <= 0) {
    // Tininess after rounding: as if the exponent had no bound, so a carry out of the significand
    // takes the largest of these numbers to the smallest normal one.
    isTiny = field < 0 || significand + increment >= significand;
    significand = shiftRightSticky(significand, 1 - field);
    field = 1;
  }
  const rest = significand & mask;
  let kept = (significand >> dropped) + ((rest + increment) >> dropped);
  if (rest == half && rm == NEAREST_EVEN) kept &= ~1;
  if (rest != 0) raise(isTiny ? UNDERFLOW | INEXACT : INEXACT);
  // The leading bit adds one to the field, and so does a carry. A subnormal number has none.
  const magnitude = (<u64>(field - 1) << fractionBits) + kept;
  const unbounded = infinity(0, single);
  if (magnitude < unbounded) return (sign << (single ? 31 : 63)) | magnitude;
  raise(OVERFLOW | INEXACT);
  return infinity(sign, single) - <u64>(increment == 0);
}
