// Bitmaps of pages (one bit a page) and the vCPUs' dirty maps (one byte a page).
import { RESULT_CURSOR, dirtyBitmap, pageCount, pfnList, populatedBitmap } from './context';

// Moves a retired dirty map into the dirty and the populated bitmap and clears it. Returns the
// pages that were not dirty before. The map is at rest: its vCPU switched to the other one behind a
// fence.
export function mergeDirtyMap(map: usize): u32 {
  const dirty = dirtyBitmap(), populated = populatedBitmap();
  const pages = pageCount();
  let added: u32 = 0;
  const zero = i64x2.splat(0);
  for (let pfn: u32 = 0; pfn < pages; pfn += 64) {
    const at = map + pfn;
    const m0 = v128.load(at), m1 = v128.load(at, 16), m2 = v128.load(at, 32), m3 = v128.load(at, 48);
    if (!v128.any_true(v128.or(v128.or(m0, m1), v128.or(m2, m3)))) continue;
    const marks = <u64>i8x16.bitmask(i8x16.ne(m0, zero)) | (<u64>i8x16.bitmask(i8x16.ne(m1, zero)) << 16)
      | (<u64>i8x16.bitmask(i8x16.ne(m2, zero)) << 32) | (<u64>i8x16.bitmask(i8x16.ne(m3, zero)) << 48);
    v128.store(at, zero); v128.store(at, zero, 16); v128.store(at, zero, 32); v128.store(at, zero, 48);
    const word = pfn >> 3;
    const before = load<u64>(dirty + word);
    added += <u32>popcnt(marks & ~before);
    store<u64>(dirty + word, before | marks);
    store<u64>(populated + word, load<u64>(populated + word) | marks);
  }
  return added;
}

// Takes up to `max` dirty pages in [from, to), ascending, into the list, and clears their bits: a
// store that comes after this marks the page again, so it is cleared before it is copied.
// RESULT_CURSOR says where to go on.
export function takeDirty(from: u32, to: u32, max: u32): u32 {
  const bitmap = dirtyBitmap(), list = pfnList();
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
    store<u64>(at, load<u64>(at) & ~((<u64>1) << (pfn & 63)));
    store<u32>(list + (<usize>count << 2), pfn);
    count++;
    pfn++;
  }
  store<u32>(RESULT_CURSOR, min(pfn, to));
  return count;
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

// Every page that ever held something is dirty: the start of a migration. Returns how many.
export function dirtyAllPopulated(): u32 {
  memory.copy(dirtyBitmap(), populatedBitmap(), <usize>((pageCount() + 63) >> 6) << 3);
  return countBits(dirtyBitmap());
}
