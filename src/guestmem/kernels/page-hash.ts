// The page hash, fused with the copy: nearly free, where a CRC over the page would halve the
// stream.
//
// An NH-like sum (the inner hash of UMAC) of 32 x 32 -> 64 bit products over 64-byte stripes, keyed
// by a Weyl sequence that lives in a register, so that the sum depends on the position without a
// key table. As in XXH3, every word is also added as it is to an accumulator other than its
// product's: a word whose partner makes the product zero is not lost. Good against corruption,
// stale and misplaced pages (the frame number is mixed in); not against an adversary (that is TLS's
// work). Two different pages collide with probability of about 2^-32 or less.
//
// The hash of a page of zeros is 0 and no other page's is: the zero test costs one `or` a vector.
import { PAGE } from './context';

const M0: u64 = 0x9E3779B97F4A7C15;
const M1: u64 = 0xD6E8FEB86659FD93;

@inline function fold(hash: u64, lanes: v128): u64 {
  const low = (rotl<u64>(hash, 29) ^ i64x2.extract_lane(lanes, 0)) * M1;
  return (rotl<u64>(low, 31) ^ i64x2.extract_lane(lanes, 1)) * M1;
}

// Reads each byte of the page at `from` exactly once: what was hashed is what was copied, also when
// a vCPU writes.
@inline function hashStripes(from: usize, to: usize, pfn: u32, copy: bool): u64 {
  const end = from + PAGE;
  let a = i64x2.splat(0), b = i64x2.splat(0), c = i64x2.splat(0), d = i64x2.splat(0);
  let any = i64x2.splat(0);
  let key = i32x4(0x1B873593, 0x7F4A7C15, 0x66591D93, 0x52DCE729);
  const weyl = i32x4.splat(0x9E3779B1);
  while (from < end) {
    const x0 = v128.load(from), y0 = v128.load(from, 16), x1 = v128.load(from, 32), y1 = v128.load(from, 48);
    if (copy) {
      v128.store(to, x0); v128.store(to, y0, 16); v128.store(to, x1, 32); v128.store(to, y1, 48);
      to += 64;
    }
    any = v128.or(any, v128.or(v128.or(x0, y0), v128.or(x1, y1)));
    const u0 = i32x4.add(x0, key), w0 = v128.xor(y0, key);
    key = i32x4.add(key, weyl);
    const u1 = i32x4.add(x1, key), w1 = v128.xor(y1, key);
    key = i32x4.add(key, weyl);
    a = i64x2.add(a, i64x2.add(i64x2.extmul_low_i32x4_u(u0, w0), x1));
    b = i64x2.add(b, i64x2.add(i64x2.extmul_high_i32x4_u(u0, w0), y1));
    c = i64x2.add(c, i64x2.add(i64x2.extmul_low_i32x4_u(u1, w1), x0));
    d = i64x2.add(d, i64x2.add(i64x2.extmul_high_i32x4_u(u1, w1), y0));
    from += 64;
  }
  if (!v128.any_true(any)) return 0;
  let hash = fold(fold(fold(fold(<u64>pfn * M0, a), b), c), d);
  hash ^= hash >> 32;
  return hash == 0 ? 1 : hash;
}

export function copyAndHash(from: usize, to: usize, pfn: u32): u64 {
  return hashStripes(from, to, pfn, true);
}

export function hashPage(page: usize, pfn: u32): u64 {
  return hashStripes(page, 0, pfn, false);
}
