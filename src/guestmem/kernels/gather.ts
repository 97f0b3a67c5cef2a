// Source: one call makes the body of one PAGE_BATCH in a staging slot.
import {
  ENTRY, KIND_LZ4, KIND_RAW, KIND_XBZRLE, KIND_ZERO_RUN, OWN_LANE, PAGE, PAGE_SHIFT,
  RESULT_BODY_BYTES, RESULT_CONFLICTS, RESULT_CURSOR, RESULT_HITS, RESULT_LZ4, RESULT_LZ4_BYTES, RESULT_MISSES, RESULT_OVERFLOWS, RESULT_PRIMED, RESULT_RAW,
  RESULT_TABLE_BYTES, RESULT_TABLE_CRC, RESULT_UNCHANGED, RESULT_XBZRLE, RESULT_XBZRLE_BYTES, RESULT_ZERO,
  cacheSets, clearBit, clearResults, dirtyBitmap, entryScratch, pageCount, pfnList, populatedBitmap, ramBase, scratchPage, setBit, storeEntry, testBit,
} from './context';
import { HASH_TABLE, OTHER_OUTPUT, OUTPUT } from './compress';
import { crc32c } from './crc32c';
import { isSampled, seeGhosts } from './ghost-cache';
import { encode as encodeLz4 } from './lz4';
import { copyAndHash, hashPage } from './page-hash';
import { weightBucket } from './page-order';
import { OVERFLOW, decode, encode, encodeSame } from './xbzrle';
import { NO_WAY, claimWay, findWay, touchWay, wayData } from './xbzrle-cache';

// Bits of `mode`.
const ENCODE: u32 = 1; // look pages up in the cache and send deltas
const KEEP: u32 = 2; // insert and update cached pages (not in the stopped stage: nothing is sent after it)
const KEEP_OTHERS: u32 = 4; // primes: other pages too, in free places, as the first to give way
const SHORTEST: u32 = 16; // where LZ4 of a page is shorter than its delta, also as LZ4, the page goes
const TELL_ALL: u32 = 8; // each page has an entry: the destination has made all of them missing
// Bits 8 to 11: not looked up, but inserted when the page's bucket is at least this one (0: never).
const PRIME_SHIFT: u32 = 8;

const MAX_RUN: u32 = 0xffff;

// Of shorter deltas next to none is longer than LZ4 of its page (docs/adr/0016).
const LONG_DELTA: u32 = 2048;

@inline function bump(counter: usize, by: u32 = 1): void {
  store<u32>(counter, load<u32>(counter) + by);
}

// Adds a page to the zero run in the last entry, or starts one. Returns the entry's end.
@inline function putZero(entries: usize, entry: usize, pfn: u32): usize {
  if (entry > entries) {
    const last = entry - ENTRY;
    const length = <u32>load<u16>(last, 6);
    if (load<u8>(last, 4) == KIND_ZERO_RUN && load<u32>(last) + length == pfn && length < MAX_RUN) {
      store<u16>(last, <u16>(length + 1), 6);
      return entry;
    }
  }
  storeEntry(entry, pfn, KIND_ZERO_RUN, 1, 0);
  return entry + ENTRY;
}

// Length of the LZ4 block of the page in the lane's output, when that is shorter than its delta is
// and can become; else 0.
function shorterPage(page: usize, delta: usize, length: u32): u32 {
  const table = OWN_LANE + HASH_TABLE;
  const ofPage = encodeLz4(page, PAGE, OWN_LANE + OUTPUT, length, table);
  if (ofPage == 0) return 0;
  return encodeLz4(delta, length, OWN_LANE + OTHER_OUTPUT, ofPage, table) == 0 ? ofPage : 0;
}

// Pads the payload to 8 bytes, puts the table behind it and notes the sizes. Returns the length of
// the body.
function finish(slot: usize, payloadEnd: usize, tableBytes: usize): u32 {
  const entries = entryScratch();
  const table = (payloadEnd + 7) & ~7;
  while (payloadEnd < table) store<u8>(payloadEnd++, 0);
  memory.copy(table, entries, tableBytes);
  const bodyBytes = <u32>(table + tableBytes - slot);
  store<u32>(RESULT_TABLE_BYTES, <u32>tableBytes);
  store<u32>(RESULT_TABLE_CRC, crc32c(entries, tableBytes));
  store<u32>(RESULT_BODY_BYTES, tableBytes == 0 ? 0 : bodyBytes);
  return tableBytes == 0 ? 0 : bodyBytes;
}

// The first `count` pages of the list. Each live page is read exactly once, into the slot or the
// scratch page, and only that copy is tested, hashed, encoded, cached and sent. 0 when nothing has
// to be sent (every page was unchanged).
export function gather(slot: usize, count: u32, mode: u32, age: u32): u32 {
  clearResults();
  const list = pfnList(), ram = ramBase(), entries = entryScratch(), scratch = scratchPage();
  const encoding = (mode & ENCODE) != 0, keeping = (mode & KEEP) != 0;
  const prime = (mode >> PRIME_SHIFT) & 15;
  let entry = entries, payload = slot;
  for (let i: u32 = 0; i < count; i++) {
    const pfn = load<u32>(list + (<usize>i << 2));
    const page = ram + (<usize>pfn << PAGE_SHIFT);
    const hot = prime != 0 && weightBucket(pfn) >= prime;
    const priming = hot || (mode & KEEP_OTHERS) != 0;
    if ((encoding || priming) && isSampled(pfn)) seeGhosts(pfn, encoding || hot ? age : 0, encoding, keeping);
    let way = encoding ? findWay(pfn) : NO_WAY;
    if (way == NO_WAY) {
      const hash = copyAndHash(page, payload, pfn);
      if (encoding) bump(RESULT_MISSES);
      if (keeping && (encoding || priming)) {
        // With age 0 it takes no place from any page.
        way = claimWay(pfn, encoding || hot ? age : 0);
        if (way == NO_WAY) {
          if (encoding || hot) bump(RESULT_CONFLICTS);
        } else {
          memory.copy(wayData(way), payload, PAGE);
          if (hot) bump(RESULT_PRIMED);
        }
      }
      if (hash == 0) {
        bump(RESULT_ZERO);
        entry = putZero(entries, entry, pfn);
      } else {
        bump(RESULT_RAW);
        storeEntry(entry, pfn, KIND_RAW, <u32>PAGE, hash);
        entry += ENTRY;
        payload += PAGE;
      }
      continue;
    }
    const cached = wayData(way);
    const hash = copyAndHash(page, scratch, pfn);
    bump(RESULT_HITS);
    touchWay(way, age);
    if (hash == 0) {
      if (keeping) memory.fill(cached, 0, PAGE);
      bump(RESULT_ZERO);
      entry = putZero(entries, entry, pfn);
      continue;
    }
    let length = encode(cached, scratch, payload, PAGE);
    if (length == 0 && (mode & TELL_ALL) != 0) length = encodeSame(cached, payload);
    if (length == 0) {
      bump(RESULT_UNCHANGED);
    } else if (length == OVERFLOW || length == <i32>PAGE) {
      memory.copy(payload, scratch, PAGE);
      if (keeping) memory.copy(cached, scratch, PAGE);
      bump(RESULT_OVERFLOWS);
      bump(RESULT_RAW);
      storeEntry(entry, pfn, KIND_RAW, <u32>PAGE, hash);
      entry += ENTRY;
      payload += PAGE;
    } else {
      const ofPage = (mode & SHORTEST) != 0 && <u32>length >= LONG_DELTA ? shorterPage(scratch, payload, length) : 0;
      // Writing the delta onto the cached page costs less than copying the whole page.
      if (keeping) decode(cached, payload, length);
      if (ofPage != 0) {
        memory.copy(payload, OWN_LANE + OUTPUT, ofPage);
        bump(RESULT_LZ4);
        bump(RESULT_LZ4_BYTES, ofPage);
        storeEntry(entry, pfn, KIND_LZ4, ofPage, hash);
        entry += ENTRY;
        payload += ofPage;
        continue;
      }
      bump(RESULT_XBZRLE);
      bump(RESULT_XBZRLE_BYTES, <u32>length);
      storeEntry(entry, pfn, KIND_XBZRLE, <u32>length, hash);
      entry += ENTRY;
      payload += length;
    }
  }
  return finish(slot, payload, entry - entries);
}

// Zero runs for the pages from `from` on that never held anything, at most `max` entries: they are
// never read, so a sparse guest stays sparse. RESULT_CURSOR says where to go on.
export function gatherEmpty(slot: usize, from: u32, max: u32): u32 {
  clearResults();
  const populated = populatedBitmap(), pages = pageCount(), entries = entryScratch();
  let entry = entries, pfn = from, zero: u32 = 0, count: u32 = 0;
  while (pfn < pages) {
    // First empty page at or after pfn.
    const word = ~load<u64>(populated + (<usize>(pfn >> 6) << 3)) >> (pfn & 63);
    if (word == 0) {
      pfn = (pfn | 63) + 1;
      continue;
    }
    pfn += <u32>ctz(word);
    if (pfn >= pages || count == max) break;
    const first = pfn;
    const limit = min(pages, first + MAX_RUN);
    while (pfn < limit) {
      const rest = load<u64>(populated + (<usize>(pfn >> 6) << 3)) >> (pfn & 63);
      if (rest != 0) {
        pfn = min(limit, pfn + <u32>ctz(rest));
        break;
      }
      pfn = min(limit, (pfn | 63) + 1);
    }
    storeEntry(entry, first, KIND_ZERO_RUN, pfn - first, 0);
    entry += ENTRY;
    zero += pfn - first;
    count++;
  }
  store<u32>(RESULT_CURSOR, min(pfn, pages));
  store<u32>(RESULT_ZERO, zero);
  return finish(slot, slot, entry - entries);
}

// At most so many pages are tested in one call: zero pages are read whole, 64 MiB in some 5 ms.
const ZERO_TESTS: u32 = 0x4000;

// Stops at the first word that is not zero: most pages show that they hold something at once.
function isZeroPage(page: usize): bool {
  const end = page + PAGE;
  for (; page < end; page += 64) {
    const any = v128.or(v128.or(v128.load(page), v128.load(page, 16)), v128.or(v128.load(page, 32), v128.load(page, 48)));
    if (v128.any_true(any)) return false;
  }
  return true;
}

// Zero runs for the dirty pages from `from` on that hold only zeros, at most `max` entries; the
// others stay dirty. A mark is cleared before its page is read, as always: what a vCPU stores after
// that is marked in its own map. RESULT_CURSOR says where to go on.
export function gatherZeros(slot: usize, from: u32, max: u32): u32 {
  clearResults();
  const dirty = dirtyBitmap(), pages = pageCount(), ram = ramBase(), entries = entryScratch();
  let entry = entries, pfn = from, zero: u32 = 0, tests: u32 = 0;
  while (pfn < pages && tests < ZERO_TESTS) {
    const word = load<u64>(dirty + (<usize>(pfn >> 6) << 3)) >> (pfn & 63);
    if (word == 0) {
      pfn = (pfn | 63) + 1;
      continue;
    }
    pfn += <u32>ctz(word);
    if (pfn >= pages || (entry - entries) / ENTRY >= max) break;
    clearBit(dirty, pfn);
    tests++;
    if (isZeroPage(ram + (<usize>pfn << PAGE_SHIFT))) {
      // The cache holds what the destination holds.
      const way = cacheSets() == 0 ? NO_WAY : findWay(pfn);
      if (way != NO_WAY) memory.fill(wayData(way), 0, PAGE);
      entry = putZero(entries, entry, pfn);
      zero++;
    } else setBit(dirty, pfn);
    pfn++;
  }
  store<u32>(RESULT_CURSOR, min(pfn, pages));
  store<u32>(RESULT_ZERO, zero);
  return finish(slot, slot, entry - entries);
}

// Hashes of `count` pages from `first` on, as they lie in RAM now. A page that never held anything
// is not read.
export function hashPages(first: u32, count: u32, to: usize): void {
  const ram = ramBase(), populated = populatedBitmap();
  for (let pfn = first; pfn < first + count; pfn++) {
    store<u64>(to, testBit(populated, pfn) ? hashPage(ram + (<usize>pfn << PAGE_SHIFT), pfn) : 0);
    to += 8;
  }
}
