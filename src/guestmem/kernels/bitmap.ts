// Bitmaps of pages (one bit a page) and the vCPUs' dirty maps (one byte a page).
import { RESULT_CURSOR, clearBit, dirtyBitmap, heatMap, pageCount, pfnList, populatedBitmap } from './context';
import { isWeighing, noteMarks, resetOrder } from './page-order';

// One more for each marked page of sixteen, up to 255.
@inline function heatUp(at: usize, marks: v128): void {
  v128.store(at, i8x16.add_sat_u(v128.load(at), v128.and(marks, i8x16.splat(1))));
}

// Moves a retired dirty map into the dirty and the populated bitmap and clears it; each marked page
// becomes hotter by one, and while a pass is ordered its weight rises. Returns the pages that were
// not dirty before. The map is at rest: its vCPU switched to the other one behind a fence.
export function mergeDirtyMap(map: usize): u32 {
  const dirty = dirtyBitmap(), populated = populatedBitmap(), heat = heatMap();
  const pages = pageCount(), weighing = isWeighing();
  let added: u32 = 0;
  const zero = i64x2.splat(0);
  for (let pfn: u32 = 0; pfn < pages; pfn += 64) {
    const at = map + pfn;
    const m0 = v128.load(at), m1 = v128.load(at, 16), m2 = v128.load(at, 32), m3 = v128.load(at, 48);
    if (!v128.any_true(v128.or(v128.or(m0, m1), v128.or(m2, m3)))) continue;
    const n0 = i8x16.ne(m0, zero), n1 = i8x16.ne(m1, zero), n2 = i8x16.ne(m2, zero), n3 = i8x16.ne(m3, zero);
    const marks = <u64>i8x16.bitmask(n0) | (<u64>i8x16.bitmask(n1) << 16)
      | (<u64>i8x16.bitmask(n2) << 32) | (<u64>i8x16.bitmask(n3) << 48);
    heatUp(heat + pfn, n0); heatUp(heat + pfn + 16, n1); heatUp(heat + pfn + 32, n2); heatUp(heat + pfn + 48, n3);
    if (weighing) noteMarks(pfn, marks, n0, n1, n2, n3);
    v128.store(at, zero); v128.store(at, zero, 16); v128.store(at, zero, 32); v128.store(at, zero, 48);
    const word = pfn >> 3;
    const before = load<u64>(dirty + word);
    added += <u32>popcnt(marks & ~before);
    store<u64>(dirty + word, before | marks);
    store<u64>(populated + word, load<u64>(populated + word) | marks);
  }
  return added;
}

// Takes up to `max` dirty pages in [from, to), ascending, into the list from entry `offset` on, and
// clears their bits: a store that comes after this marks the page again, so it is cleared before it
// is copied. RESULT_CURSOR says where to go on.
export function takeDirty(from: u32, to: u32, max: u32, offset: u32): u32 {
  return take(from, to, max, offset, 0);
}

// The same, of pages that are at least so hot.
export function takeHottest(level: u32, from: u32, max: u32, offset: u32): u32 {
  return take(from, pageCount(), max, offset, level);
}

@inline function take(from: u32, to: u32, max: u32, offset: u32, level: u32): u32 {
  const bitmap = dirtyBitmap(), heat = heatMap(), list = pfnList() + (<usize>offset << 2);
  let count: u32 = 0;
  let pfn = from;
  while (pfn < to && count < max) {
    const at = bitmap + (<usize>(pfn >> 6) << 3);
    let word = load<u64>(at) >> (pfn & 63);
    if (word == 0) {
      pfn = (pfn | 63) + 1;
      continue;
    }
    pfn += <u32>ctz(word);
    if (pfn >= to) break;
    if (level != 0 && <u32>load<u8>(heat + pfn) < level) {
      pfn++;
      continue;
    }
    store<u64>(at, load<u64>(at) & ~((<u64>1) << (pfn & 63)));
    store<u32>(list + (<usize>count << 2), pfn);
    count++;
    pfn++;
  }
  store<u32>(RESULT_CURSOR, min(pfn, to));
  return count;
}

// Takes up to `limit` dirty pages in [downTo, from), descending. RESULT_CURSOR is the page above
// which all are taken: `from` of the next call.
export function takeDirtyDown(from: u32, downTo: u32, limit: u32, offset: u32): u32 {
  const bitmap = dirtyBitmap(), list = pfnList() + (<usize>offset << 2);
  let count: u32 = 0, end = from;
  while (end > downTo && count < limit) {
    const top = end - 1;
    const word = load<u64>(bitmap + (<usize>(top >> 6) << 3)) << (63 - (top & 63));
    if (word == 0) {
      end = top & ~63;
      continue;
    }
    const pfn = top - <u32>clz(word);
    if (pfn < downTo) {
      end = downTo;
      break;
    }
    clearBit(bitmap, pfn);
    store<u32>(list + (<usize>count << 2), pfn);
    count++;
    end = pfn;
  }
  store<u32>(RESULT_CURSOR, max(end, downTo));
  return count;
}

// A map of one byte a page as a bitmap. The bits behind the last page are zero.
export function bitsOfMap(map: usize, to: usize): void {
  const pages = pageCount();
  const zero = i64x2.splat(0);
  for (let pfn: u32 = 0; pfn < pages; pfn += 64) {
    const at = map + pfn;
    const word = <u64>i8x16.bitmask(i8x16.ne(v128.load(at), zero))
      | (<u64>i8x16.bitmask(i8x16.ne(v128.load(at, 16), zero)) << 16)
      | (<u64>i8x16.bitmask(i8x16.ne(v128.load(at, 32), zero)) << 32)
      | (<u64>i8x16.bitmask(i8x16.ne(v128.load(at, 48), zero)) << 48);
    store<u64>(to + (<usize>(pfn >> 6) << 3), word & pagesMask(pfn));
  }
}

// Of the 64 pages from `pfn` on, those that exist.
@inline function pagesMask(pfn: u32): u64 {
  const left = pageCount() - pfn;
  return left >= 64 ? ~(<u64>0) : ((<u64>1) << left) - 1;
}

// The dirty bitmap becomes that at `from`, without bits of pages that do not exist.
export function setDirty(from: usize): void {
  const dirty = dirtyBitmap(), pages = pageCount();
  for (let pfn: u32 = 0; pfn < pages; pfn += 64) {
    const word: usize = <usize>(pfn >> 6) << 3;
    store<u64>(dirty + word, load<u64>(from + word) & pagesMask(pfn));
  }
}

// Set bits of a bitmap of the block's size.
export function countBits(bitmap: usize): u32 {
  const end = bitmap + (<usize>((pageCount() + 63) >> 6) << 3);
  let count: u32 = 0;
  while (bitmap < end) {
    count += <u32>popcnt(load<u64>(bitmap));
    bitmap += 8;
  }
  return count;
}

// Every page that ever held something is dirty, and none is hot or weighs anything: the start of a
// migration. Returns how many.
export function dirtyAllPopulated(): u32 {
  resetOrder();
  memory.fill(heatMap(), 0, <usize>pageCount());
  memory.copy(dirtyBitmap(), populatedBitmap(), <usize>((pageCount() + 63) >> 6) << 3);
  return countBits(dirtyBitmap());
}
