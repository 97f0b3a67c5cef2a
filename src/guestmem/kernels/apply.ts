// Destination: one call checks one PAGE_BATCH body and writes its pages into RAM.
import {
  ENTRY, KIND_LZ4, KIND_LZ4_XBZRLE, KIND_RAW, KIND_XBZRLE, KIND_ZERO_RUN, PAGE, PAGE_SHIFT,
  RESULT_DUPLICATES, RESULT_ERROR_PFN, RESULT_LZ4, RESULT_LZ4_BYTES, RESULT_LZ4_XBZRLE, RESULT_LZ4_XBZRLE_BYTES, RESULT_NEW_PAGES, RESULT_RAW, RESULT_XBZRLE, RESULT_XBZRLE_BYTES,
  RESULT_ZERO,
  clearResults, hashTable, pageCount, populatedBitmap, ramBase, receivedMap, scratchPage, setBit, testBit,
} from './context';
import { crc32c } from './crc32c';
import { decode as decodeLz4 } from './lz4';
import { copyAndHash, hashPage } from './page-hash';
import { decode } from './xbzrle';

// Returned by apply(); src/guestmem/page-kernels.ts names them.
const OK: i32 = 0;
const BAD_TABLE: i32 = 1; // an entry out of range, an unknown kind, lengths that do not add up
const BAD_CRC: i32 = 2;
const BAD_DELTA: i32 = 3; // malformed XBZRLE, or for a page that never came
const BAD_HASH: i32 = 4;
const BAD_LZ4: i32 = 5; // malformed, or of another length than a page; of a delta's, too

// The shortest delta: two lengths and a byte.
const XBZRLE_BYTES_MIN: u32 = 3;
// A token and a literal.
const LZ4_BYTES_MIN: u32 = 2;
// BATCH_PAGES_MAX of src/base/limits.ts entries.
const TABLE_BYTES_MAX: usize = 256 * ENTRY;

@inline function fail(reason: i32, pfn: u32): i32 {
  store<u32>(RESULT_ERROR_PFN, pfn);
  return reason;
}

// The whole table is checked before the first byte of RAM is written.
function checkTable(table: usize, end: usize, payload: usize): i32 {
  const pages = pageCount();
  let at = payload;
  for (let entry = table; entry < end; entry += ENTRY) {
    const pfn = load<u32>(entry), kind = load<u8>(entry, 4), length = <u32>load<u16>(entry, 6);
    if (load<u8>(entry, 5) != 0 || pfn >= pages) return fail(BAD_TABLE, pfn);
    if (kind == KIND_ZERO_RUN) {
      if (length == 0 || length > pages - pfn || load<u64>(entry, 8) != 0) return fail(BAD_TABLE, pfn);
    } else if (kind == KIND_RAW) {
      if (length != <u32>PAGE) return fail(BAD_TABLE, pfn);
      at += PAGE;
    } else if (kind == KIND_XBZRLE) {
      if (length < XBZRLE_BYTES_MIN || length >= <u32>PAGE) return fail(BAD_TABLE, pfn);
      at += length;
    } else if (kind == KIND_LZ4 || kind == KIND_LZ4_XBZRLE) {
      if (length < LZ4_BYTES_MIN || length >= <u32>PAGE) return fail(BAD_TABLE, pfn);
      at += length;
    } else return fail(BAD_TABLE, pfn);
    if (at > table) return fail(BAD_TABLE, pfn);
  }
  if (((at + 7) & ~7) != table) return fail(BAD_TABLE, pages);
  while (at < table) if (load<u8>(at++) != 0) return fail(BAD_TABLE, pages);
  return OK;
}

@inline function markReceived(received: usize, pfn: u32): u32 {
  const fresh = <u32>(load<u8>(received + pfn) == 0);
  // Pairs with the soft MMU's load: whoever sees the mark sees the page's bytes.
  atomic.store<u8>(received + pfn, 1);
  return fresh;
}

// Whether a delta can be meant for what lies there. In post-copy that is what the page was before
// it became missing: no vCPU has seen it since, and the hash tells whether it is what was meant.
@inline function hasBase(received: usize, pfn: u32, isPostcopy: bool): bool {
  return isPostcopy || load<u8>(received + pfn) != 0;
}

// A page of a fresh machine is zero already, and touching it would cost memory for nothing. Returns
// the pages that had not come before.
function applyZeroRun(first: u32, count: u32, keepReceived: bool): u32 {
  const ram = ramBase(), received = receivedMap(), hashes = hashTable(), populated = populatedBitmap();
  let fresh: u32 = 0;
  for (let pfn = first; pfn < first + count; pfn++) {
    if (keepReceived && load<u8>(received + pfn) != 0) continue;
    if (testBit(populated, pfn)) {
      memory.fill(ram + (<usize>pfn << PAGE_SHIFT), 0, PAGE);
      store<u64>(hashes + (<usize>pfn << 3), 0);
    }
    fresh += markReceived(received, pfn);
  }
  return fresh;
}

// With `keepReceived` (post-copy) the first arrival of a page wins: the guest may have written it
// since, so whatever comes for it later is skipped. A page that fails is left without its mark.
export function apply(body: usize, bodyBytes: usize, tableBytes: usize, tableCrc: u32, keepReceived: bool): i32 {
  clearResults();
  const end = body + bodyBytes, table = end - tableBytes;
  if (tableBytes == 0 || tableBytes > TABLE_BYTES_MAX || tableBytes % ENTRY != 0 || (table & 7) != 0) return fail(BAD_TABLE, 0);
  if (crc32c(table, tableBytes) != tableCrc) return fail(BAD_CRC, 0);
  const checked = checkTable(table, end, body);
  if (checked != OK) return checked;
  const ram = ramBase(), received = receivedMap(), hashes = hashTable(), populated = populatedBitmap();
  let fresh: u32 = 0, zero: u32 = 0, raw: u32 = 0, delta: u32 = 0, duplicates: u32 = 0;
  let deltaBytes: u32 = 0, lz4: u32 = 0, lz4Bytes: u32 = 0, lz4Delta: u32 = 0, lz4DeltaBytes: u32 = 0;
  for (let entry = table, payload = body; entry < end; entry += ENTRY) {
    const pfn = load<u32>(entry), kind = load<u8>(entry, 4), length = <u32>load<u16>(entry, 6), hash = load<u64>(entry, 8);
    if (kind == KIND_ZERO_RUN) {
      const came = applyZeroRun(pfn, length, keepReceived);
      const skipped = keepReceived ? length - came : 0;
      fresh += came;
      zero += length - skipped;
      duplicates += skipped;
      continue;
    }
    if (keepReceived && load<u8>(received + pfn) != 0) {
      payload += length;
      duplicates++;
      continue;
    }
    const page = ram + (<usize>pfn << PAGE_SHIFT);
    // Before it is written: zeros that come for a page whose hash was wrong have to clear it.
    setBit(populated, pfn);
    if (kind == KIND_RAW) {
      if (copyAndHash(payload, page, pfn) != hash) return fail(BAD_HASH, pfn);
      raw++;
    } else if (kind == KIND_LZ4) {
      // Beside RAM: a block that is malformed leaves no part of it there.
      if (decodeLz4(payload, length, scratchPage(), PAGE) != <i32>PAGE) return fail(BAD_LZ4, pfn);
      if (copyAndHash(scratchPage(), page, pfn) != hash) return fail(BAD_HASH, pfn);
      lz4++;
      lz4Bytes += length;
    } else if (kind == KIND_LZ4_XBZRLE) {
      const deltaLength = decodeLz4(payload, length, scratchPage(), PAGE - 1);
      if (deltaLength < <i32>XBZRLE_BYTES_MIN) return fail(BAD_LZ4, pfn);
      if (!hasBase(received, pfn, keepReceived) || !decode(page, scratchPage(), deltaLength)) return fail(BAD_DELTA, pfn);
      if (hashPage(page, pfn) != hash) return fail(BAD_HASH, pfn);
      lz4Delta++;
      lz4DeltaBytes += length;
    } else {
      if (!hasBase(received, pfn, keepReceived) || !decode(page, payload, length)) return fail(BAD_DELTA, pfn);
      if (hashPage(page, pfn) != hash) return fail(BAD_HASH, pfn);
      delta++;
      deltaBytes += length;
    }
    payload += length;
    store<u64>(hashes + (<usize>pfn << 3), hash);
    fresh += markReceived(received, pfn);
  }
  store<u32>(RESULT_NEW_PAGES, fresh);
  store<u32>(RESULT_ZERO, zero);
  store<u32>(RESULT_RAW, raw);
  store<u32>(RESULT_XBZRLE, delta);
  store<u32>(RESULT_DUPLICATES, duplicates);
  store<u32>(RESULT_XBZRLE_BYTES, deltaBytes);
  store<u32>(RESULT_LZ4, lz4);
  store<u32>(RESULT_LZ4_BYTES, lz4Bytes);
  store<u32>(RESULT_LZ4_XBZRLE, lz4Delta);
  store<u32>(RESULT_LZ4_XBZRLE_BYTES, lz4DeltaBytes);
  return OK;
}

// The pages whose bit is set are missing again. Returns how many had come. Only while no vCPU runs.
export function forget(bitmap: usize): u32 {
  const received = receivedMap(), pages = pageCount();
  let forgotten: u32 = 0;
  for (let base: u32 = 0; base < pages; base += 64) {
    let word = load<u64>(bitmap + (<usize>(base >> 6) << 3));
    while (word != 0) {
      const pfn = base + <u32>ctz(word);
      word &= word - 1;
      if (pfn >= pages) break;
      forgotten += <u32>(load<u8>(received + pfn) != 0);
      store<u8>(received + pfn, 0);
    }
  }
  return forgotten;
}

// Compares `count` hashes of the peer with those of the pages as they were applied. Returns the
// number that differ; the list gets the first `max` page numbers.
export function compareHashes(first: u32, count: u32, theirs: usize, list: usize, max: u32): u32 {
  const hashes = hashTable();
  let different: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (load<u64>(theirs + (<usize>i << 3)) == load<u64>(hashes + (<usize>(first + i) << 3))) continue;
    if (different < max) store<u32>(list + (<usize>different << 2), first + i);
    different++;
  }
  return different;
}
