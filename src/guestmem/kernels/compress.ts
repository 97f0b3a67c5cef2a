// Source: rewrites the body of a PAGE_BATCH in place, its pages and deltas as LZ4 where that is
// shorter. It may run in another thread than gather(): all that it writes is the body and the lane,
// a part of the memory that belongs to one caller.
import { ENTRY, KIND_LZ4, KIND_LZ4_XBZRLE, KIND_RAW, KIND_XBZRLE, KIND_ZERO_RUN } from './context';
import { crc32c } from './crc32c';
import { encode } from './lz4';

// Bits of `mode`.
const PAGES: u32 = 1;
const DELTAS: u32 = 2;

// What a lane holds; src/guestmem/block/block-layout.ts has its size. Results first, u32 each.
const BODY_BYTES: usize = 0;
const TABLE_CRC: usize = 4;
const TRIED_PAGES: usize = 8;
const LZ4_PAGES: usize = 12;
const LZ4_BYTES: usize = 16;
const TRIED_DELTAS: usize = 20;
const TRIED_DELTA_BYTES: usize = 24;
const LZ4_DELTAS: usize = 28;
const LZ4_DELTA_BYTES_BEFORE: usize = 32;
const LZ4_DELTA_BYTES: usize = 36;
const RESULTS_BYTES: usize = 64;
export const HASH_TABLE: usize = 0x400;
export const OUTPUT: usize = 0x1400;
// A second page of output, for who compares two.
export const OTHER_OUTPUT: usize = 0x2480;

// Fewer bytes than these are not worth the peer's time.
const GAIN_MIN: u32 = 64;
const DELTA_GAIN_MIN: u32 = 16;
// Of a shorter delta nothing can be gained.
const DELTA_MIN: u32 = 64;

@inline function isTriable(kind: u8, length: u32, mode: u32): bool {
  if (kind == KIND_XBZRLE) return (mode & DELTAS) != 0 && length >= DELTA_MIN;
  return kind == KIND_RAW && (mode & PAGES) != 0;
}

@inline function limitFor(isDelta: bool, length: u32): u32 {
  return length - (isDelta ? DELTA_GAIN_MIN : GAIN_MIN);
}

@inline function add(counter: usize, by: u32): void {
  store<u32>(counter, load<u32>(counter) + by);
}

function countTry(lane: usize, isDelta: bool, length: u32): void {
  add(lane + (isDelta ? TRIED_DELTAS : TRIED_PAGES), 1);
  if (isDelta) add(lane + TRIED_DELTA_BYTES, length);
}

function countGain(lane: usize, isDelta: bool, length: u32, encoded: u32): void {
  if (isDelta) {
    add(lane + LZ4_DELTAS, 1);
    add(lane + LZ4_DELTA_BYTES_BEFORE, length);
    add(lane + LZ4_DELTA_BYTES, encoded);
  } else {
    add(lane + LZ4_PAGES, 1);
    add(lane + LZ4_BYTES, encoded);
  }
}

// Counts what compress() would gain of every `stride`-th page and delta of the body, all over it,
// and leaves the body as it is: nothing has to be moved, and the peer has nothing to decode.
export function probe(body: usize, bodyBytes: u32, tableBytes: u32, lane: usize, mode: u32, stride: u32): void {
  memory.fill(lane, 0, RESULTS_BYTES);
  const end = body + bodyBytes;
  let from = body, wait: u32 = 0;
  for (let entry = end - tableBytes; entry < end; entry += ENTRY) {
    const kind = load<u8>(entry, 4), length = <u32>load<u16>(entry, 6);
    if (kind == KIND_ZERO_RUN) continue;
    if (isTriable(kind, length, mode)) {
      if (wait == 0) {
        wait = stride;
        const isDelta = kind == KIND_XBZRLE;
        const encoded = encode(from, length, lane + OUTPUT, limitFor(isDelta, length), lane + HASH_TABLE);
        countTry(lane, isDelta, length);
        if (encoded != 0) countGain(lane, isDelta, length, encoded);
      }
      wait--;
    }
    from += length;
  }
}

// At most `maxTries` pages and deltas are tried, the rest stays as it is. Returns the new length of
// the body.
export function compress(body: usize, bodyBytes: u32, tableBytes: u32, lane: usize, mode: u32, maxTries: u32): u32 {
  memory.fill(lane, 0, RESULTS_BYTES);
  const end = body + bodyBytes, table = end - tableBytes;
  const hashTable = lane + HASH_TABLE, output = lane + OUTPUT;
  let from = body, to = body, tries: u32 = 0;
  for (let entry = table; entry < end; entry += ENTRY) {
    const kind = load<u8>(entry, 4), length = <u32>load<u16>(entry, 6);
    if (kind == KIND_ZERO_RUN) continue;
    const isDelta = kind == KIND_XBZRLE;
    let encoded: u32 = 0;
    if (tries < maxTries && isTriable(kind, length, mode)) {
      tries++;
      encoded = encode(from, length, output, limitFor(isDelta, length), hashTable);
      countTry(lane, isDelta, length);
    }
    if (encoded == 0) {
      if (to != from) memory.copy(to, from, length);
      to += length;
    } else {
      memory.copy(to, output, encoded);
      to += encoded;
      store<u8>(entry, isDelta ? KIND_LZ4_XBZRLE : KIND_LZ4, 4);
      store<u16>(entry, <u16>encoded, 6);
      countGain(lane, isDelta, length, encoded);
    }
    from += length;
  }
  const newTable = (to + 7) & ~7;
  while (to < newTable) store<u8>(to++, 0);
  memory.copy(newTable, table, tableBytes);
  const newBytes = <u32>(newTable + tableBytes - body);
  store<u32>(lane + BODY_BYTES, newBytes);
  store<u32>(lane + TABLE_CRC, crc32c(newTable, tableBytes));
  return newBytes;
}
