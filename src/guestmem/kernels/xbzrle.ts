// XBZRLE, byte-compatible with QEMU's (docs/protocol.md, XBZRLE): pairs of (equal run, different
// run and its new bytes).
import { PAGE } from './context';

export const OVERFLOW: i32 = -1;

@inline function storeLength(to: usize, length: usize): usize {
  if (length < 0x80) {
    store<u8>(to, <u8>length);
    return to + 1;
  }
  store<u8>(to, <u8>(length | 0x80));
  store<u8>(to, <u8>(length >> 7), 1);
  return to + 2;
}

// End of the run of equal bytes that starts at `at`.
@inline function equalRunEnd(oldPage: usize, newPage: usize, at: usize): usize {
  while (at + 16 <= PAGE) {
    const same = i8x16.bitmask(i8x16.eq(v128.load(oldPage + at), v128.load(newPage + at)));
    if (same != 0xffff) return at + ctz(~same);
    at += 16;
  }
  while (at < PAGE && load<u8>(oldPage + at) == load<u8>(newPage + at)) at++;
  return at;
}

// End of the run of different bytes that starts at `at`.
@inline function differentRunEnd(oldPage: usize, newPage: usize, at: usize): usize {
  while (at + 16 <= PAGE) {
    const same = i8x16.bitmask(i8x16.eq(v128.load(oldPage + at), v128.load(newPage + at)));
    if (same != 0) return at + ctz(same);
    at += 16;
  }
  while (at < PAGE && load<u8>(oldPage + at) != load<u8>(newPage + at)) at++;
  return at;
}

// Runs are short in sparse pages, and a call of memory.copy costs more than moving a few words.
@inline function copyRun(to: usize, from: usize, length: usize): void {
  if (length > 64) {
    memory.copy(to, from, length);
  } else if (length >= 16) {
    const last = length - 16;
    for (let at: usize = 0; at < last; at += 16) v128.store(to + at, v128.load(from + at));
    // The last bytes once more, so that no loop over single bytes is needed; here and below.
    v128.store(to + last, v128.load(from + last));
  } else if (length >= 8) {
    store<u64>(to, load<u64>(from));
    store<u64>(to + length - 8, load<u64>(from + length - 8));
  } else if (length >= 4) {
    store<u32>(to, load<u32>(from));
    store<u32>(to + length - 4, load<u32>(from + length - 4));
  } else {
    for (let at: usize = 0; at < length; at++) store<u8>(to + at, load<u8>(from + at));
  }
}

// Bytes written at `to` (at most `limit`), 0 when the pages are equal, OVERFLOW when the limit
// would be passed. `newPage` must be a snapshot: a page that changes under the encoder gives a
// delta of neither content.
export function encode(oldPage: usize, newPage: usize, to: usize, limit: usize): i32 {
  const start = to, end = to + limit;
  let at: usize = 0;
  while (at < PAGE) {
    if (to + 2 > end) return OVERFLOW;
    const different = equalRunEnd(oldPage, newPage, at);
    if (different == PAGE) return <i32>(to - start); // the trailing equal run is never sent
    to = storeLength(to, different - at);
    if (to + 2 > end) return OVERFLOW;
    at = differentRunEnd(oldPage, newPage, different);
    const length = at - different;
    to = storeLength(to, length);
    if (to + length > end) return OVERFLOW;
    copyRun(to, newPage + different, length);
    to += length;
  }
  return <i32>(to - start);
}

// The delta of a page that has not changed, for where one has to be there: its first byte.
export function encodeSame(page: usize, to: usize): i32 {
  store<u8>(to, 0);
  store<u8>(to, 1, 1);
  store<u8>(to, load<u8>(page), 2);
  return 3;
}

// Writes the delta's bytes onto `page`. False when it is malformed; the page may then be partly
// overwritten.
export function decode(page: usize, from: usize, length: usize): bool {
  const end = from + length;
  let at: usize = 0;
  let first = true;
  while (from < end) {
    if (from + 2 > end) return false;
    let run: usize = load<u8>(from++);
    if (run & 0x80) {
      const high: usize = load<u8>(from++);
      if (high & 0x80) return false;
      run = (run & 0x7f) | (high << 7);
    }
    if (run == 0 && !first) return false;
    first = false;
    at += run;
    if (from + 2 > end) return false;
    let fresh: usize = load<u8>(from++);
    if (fresh & 0x80) {
      const high: usize = load<u8>(from++);
      if (high & 0x80) return false;
      fresh = (fresh & 0x7f) | (high << 7);
    }
    if (fresh == 0 || at + fresh > PAGE || fresh > end - from) return false;
    copyRun(page + at, from, fresh);
    from += fresh;
    at += fresh;
  }
  return true;
}
