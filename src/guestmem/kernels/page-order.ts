// The order in which a pass sends its pages: a weight per page, and for each bucket of weights a
// bitmap of the pages that the pass has still to send ("pending"). A move clears one bit and sets
// another. What is dirty stays in the dirty bitmap: this only says whose turn it is.
import {
  BUCKET_COUNTS, ORDER_MODE, RESULT_CURSOR, bucketBitmaps, clearBit, dirtyBitmap, orderBitmapBytes, pageCount,
  pendingBitmap, pfnList, setBit, weightMap, writtenBitmap,
} from './context';

// Weights 0, 1, 2-3, 4-7, ... 128-255: halving a weight moves its page down by one bucket.
const BUCKETS: u32 = 9;
const NO_BUCKET: u32 = 0xff;
// What a sync that sees a page dirtied adds: it takes five halvings until that is forgotten, and
// four marks in a row to reach the hottest bucket but one.
const MARK: u8 = 16;

// ORDER_MODE: bits.
const WEIGHING: u32 = 1; // marks raise weights
const ORDERED: u32 = 2; // buckets by weight; without it all pages are in bucket 0

@inline export function bucketOf(weight: u32): u32 { return 32 - <u32>clz(weight); }
@inline export function weightBucket(pfn: u32): u32 { return bucketOf(load<u8>(weightMap() + pfn)); }

@inline function bitmapOf(bucket: u32): usize { return bucketBitmaps() + <usize>bucket * orderBitmapBytes(); }
@inline function countAt(bucket: u32): usize { return BUCKET_COUNTS + (<usize>bucket << 2); }

@inline function addTo(bucket: u32, pfn: u32): void {
  setBit(bitmapOf(bucket), pfn);
  store<u32>(countAt(bucket), load<u32>(countAt(bucket)) + 1);
}

@inline function removeFrom(bucket: u32, pfn: u32): void {
  clearBit(bitmapOf(bucket), pfn);
  store<u32>(countAt(bucket), load<u32>(countAt(bucket)) - 1);
}

@inline function raise(at: usize, marks: v128): void {
  v128.store(at, i8x16.add_sat_u(v128.load(at), v128.and(marks, i8x16.splat(MARK))));
}

@inline export function isWeighing(): bool { return (load<u32>(ORDER_MODE) & WEIGHING) != 0; }

// Marks of the 64 pages from `pfn` on, as a word and as four vectors of bytes: the pages were
// written, weigh more, and those that are pending move to the buckets of their new weights.
@inline export function noteMarks(pfn: u32, marks: u64, n0: v128, n1: v128, n2: v128, n3: v128): void {
  const word = <usize>(pfn >> 6) << 3, weights = weightMap() + pfn;
  const written = writtenBitmap() + word;
  store<u64>(written, load<u64>(written) | marks);
  if ((load<u32>(ORDER_MODE) & ORDERED) != 0) {
    for (let left = load<u64>(pendingBitmap() + word) & marks; left != 0; left &= left - 1) {
      const bit = <u32>ctz(left);
      const before: u32 = load<u8>(weights + bit);
      const from = bucketOf(before), to = bucketOf(min<u32>(255, before + MARK));
      if (from == to) continue;
      removeFrom(from, pfn + bit);
      addTo(to, pfn + bit);
    }
  }
  raise(weights, n0); raise(weights + 16, n1); raise(weights + 32, n2); raise(weights + 48, n3);
}

// Nothing weighs anything, nothing is pending: the start of a migration.
export function resetOrder(): void {
  store<u32>(ORDER_MODE, 0);
  memory.fill(weightMap(), 0, <usize>pageCount());
  memory.fill(writtenBitmap(), 0, orderBitmapBytes());
  clearPending();
}

function clearPending(): void {
  memory.fill(pendingBitmap(), 0, orderBitmapBytes());
  memory.fill(bucketBitmaps(), 0, <usize>BUCKETS * orderBitmapBytes());
  memory.fill(BUCKET_COUNTS, 0, <usize>BUCKETS << 2);
}

// The pages that are dirty now are pending, each in the bucket of its weight, or all in bucket 0.
export function beginOrder(mode: u32): void {
  store<u32>(ORDER_MODE, mode);
  clearPending();
  const dirty = dirtyBitmap(), pending = pendingBitmap(), pages = pageCount();
  const zero = i64x2.splat(0);
  for (let pfn: u32 = 0; pfn < pages; pfn += 64) {
    const word = <usize>(pfn >> 6) << 3;
    const bits = load<u64>(dirty + word);
    if (bits == 0) continue;
    store<u64>(pending + word, bits);
    const weights = weightMap() + pfn;
    const any = v128.or(
      v128.or(v128.load(weights), v128.load(weights, 16)), v128.or(v128.load(weights, 32), v128.load(weights, 48)),
    );
    if ((mode & ORDERED) == 0 || !v128.any_true(v128.or(any, zero))) {
      store<u64>(bitmapOf(0) + word, bits);
      store<u32>(countAt(0), load<u32>(countAt(0)) + <u32>popcnt(bits));
      continue;
    }
    for (let left = bits; left != 0; left &= left - 1) {
      const bit = <u32>ctz(left);
      addTo(bucketOf(load<u8>(weights + bit)), pfn + bit);
    }
  }
}

// Marks change nothing here any more.
export function endOrder(): void {
  store<u32>(ORDER_MODE, 0);
}

// Every weight is halved, so every pending page moves down by one bucket.
export function halveWeights(): void {
  const end = weightMap() + <usize>pageCount();
  for (let at = weightMap(); at < end; at += 16) v128.store(at, i8x16.shr_u(v128.load(at), 1));
  if ((load<u32>(ORDER_MODE) & ORDERED) == 0) return;
  const bytes = orderBitmapBytes(), coldest = bitmapOf(0), next = bitmapOf(1);
  for (let at: usize = 0; at < bytes; at += 8) {
    store<u64>(coldest + at, load<u64>(coldest + at) | load<u64>(next + at));
  }
  memory.copy(next, bitmapOf(2), <usize>(BUCKETS - 2) * bytes);
  memory.fill(bitmapOf(BUCKETS - 1), 0, bytes);
  store<u32>(countAt(0), load<u32>(countAt(0)) + load<u32>(countAt(1)));
  memory.copy(countAt(1), countAt(2), <usize>(BUCKETS - 2) << 2);
  store<u32>(countAt(BUCKETS - 1), 0);
}

// The lowest bucket with a pending page, or NO_BUCKET.
export function coldestBucket(): u32 {
  for (let bucket: u32 = 0; bucket < BUCKETS; bucket++) {
    if (load<u32>(countAt(bucket)) != 0) return bucket;
  }
  return NO_BUCKET;
}

// At most so many bits of a word, from the lowest on.
@inline function lowest(word: u64, max: u32): u64 {
  if (<u32>popcnt(word) <= max) return word;
  let rest = word;
  for (let count: u32 = 0; count < max; count++) rest &= rest - 1;
  return word ^ rest;
}

// Takes up to `max` pending pages into the list from entry `offset` on, the coldest bucket first,
// and within a bucket upwards from `from`, around the end of the block. They are neither pending
// nor dirty after that; one that is not dirty any more is left out. RESULT_CURSOR says where to go
// on.
export function takeColdest(from: u32, max: u32, offset: u32): u32 {
  const dirty = dirtyBitmap(), pending = pendingBitmap(), pages = pageCount();
  const list = pfnList() + (<usize>offset << 2);
  let count: u32 = 0, pfn = from < pages ? from : 0;
  while (count < max) {
    const bucket = coldestBucket();
    if (bucket == NO_BUCKET) break;
    const bitmap = bitmapOf(bucket);
    while (count < max && load<u32>(countAt(bucket)) != 0) {
      // A word at a time: that is half the cost of a page at a time.
      const word = <usize>(pfn >> 6) << 3;
      const bits = lowest(load<u64>(bitmap + word) & (~(<u64>0) << (pfn & 63)), max - count);
      const first = pfn & ~63;
      if (bits == 0) pfn = first + 64;
      else {
        const marks = load<u64>(dirty + word);
        store<u64>(bitmap + word, load<u64>(bitmap + word) & ~bits);
        store<u64>(pending + word, load<u64>(pending + word) & ~bits);
        store<u64>(dirty + word, marks & ~bits);
        store<u32>(countAt(bucket), load<u32>(countAt(bucket)) - <u32>popcnt(bits));
        for (let left = bits & marks; left != 0; left &= left - 1, count++) {
          store<u32>(list + (<usize>count << 2), first + <u32>ctz(left));
        }
        pfn = first + 64 - <u32>clz(bits);
      }
      if (pfn >= pages) pfn = 0;
    }
    // The next bucket from its lowest page on.
    if (load<u32>(countAt(bucket)) == 0) pfn = 0;
  }
  store<u32>(RESULT_CURSOR, pfn);
  return count;
}

// The pages that were written since the last call.
export function takeWritten(): u32 {
  const written = writtenBitmap(), bytes = orderBitmapBytes();
  let count: u32 = 0;
  for (let at: usize = 0; at < bytes; at += 8) {
    count += <u32>popcnt(load<u64>(written + at));
    store<u64>(written + at, 0);
  }
  return count;
}
