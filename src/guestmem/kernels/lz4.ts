// The LZ4 block format (docs/protocol.md, LZ4), of at most one page: what it writes any LZ4 library
// reads, and the other way round. Native libraries are faster on long blocks; for a page the call
// alone costs them that, and a decoder of what a peer sends is safe in here whatever it is sent.

const MIN_MATCH: usize = 4;
// By the format the last bytes of a block are literals, and no match begins close to its end.
const LAST_LITERALS: usize = 5;
const MATCH_START_MARGIN: usize = 12;

const HASH_BITS: u32 = 11;
// Positions, u16 each; cleared for each block, so that the same bytes always give the same block.
export const HASH_TABLE_BYTES: usize = 2 << HASH_BITS;
// What is copied by whole vectors may go so far beyond its end.
export const COPY_SLACK: usize = 32;

// After so many misses in a row the step grows: bytes that do not repeat are passed over quickly.
const SKIP_SHIFT: u32 = 5;

@inline function copyVectors(to: usize, from: usize, length: usize): void {
  for (let at: usize = 0; at < length; at += 16) v128.store(to + at, v128.load(from + at));
}

// The rest of a length that did not fit into its half of the token.
@inline function storeLength(to: usize, rest: usize): usize {
  while (rest >= 255) {
    store<u8>(to++, 255);
    rest -= 255;
  }
  store<u8>(to, <u8>rest);
  return to + 1;
}

// Bytes that the two places have in common; `at` goes no further than `end`.
@inline function matchEnd(at: usize, other: usize, end: usize): usize {
  while (at + 8 <= end) {
    const different = load<u64>(at) ^ load<u64>(other);
    if (different != 0) return at + (<usize>ctz(different) >> 3);
    at += 8;
    other += 8;
  }
  while (at < end && load<u8>(at) == load<u8>(other)) {
    at++;
    other++;
  }
  return at;
}

// Length of the block that is written at `to`; 0 when it would not be shorter than `limit`, or
// nearly so. Writes up to COPY_SLACK bytes beyond the limit, and reads as far beyond the input.
export function encode(from: usize, length: usize, to: usize, limit: usize, table: usize): u32 {
  if (length <= MATCH_START_MARGIN) return 0;
  memory.fill(table, 0, HASH_TABLE_BYTES);
  const end = from + length, matchLimit = end - LAST_LITERALS, lastStart = end - MATCH_START_MARGIN;
  const start = to, outEnd = to + limit;
  let anchor = from, at = from + 1;
  let misses: u32 = 1 << SKIP_SHIFT;
  while (at <= lastStart) {
    const word = load<u32>(at);
    const slot = table + (<usize>((word * 2654435761) >> (32 - HASH_BITS)) << 1);
    let other = from + <usize>load<u16>(slot);
    store<u16>(slot, <u16>(at - from));
    if (load<u32>(other) != word || other >= at) {
      at += <usize>(misses++ >> SKIP_SHIFT);
      continue;
    }
    misses = 1 << SKIP_SHIFT;
    while (at > anchor && other > from && load<u8>(at - 1) == load<u8>(other - 1)) {
      at--;
      other--;
    }
    const next = matchEnd(at + MIN_MATCH, other + MIN_MATCH, matchLimit);
    const literals = at - anchor, matched = next - at - MIN_MATCH;
    // Token, both lengths, offset, and the token of the last literals.
    if (to + literals + literals / 255 + matched / 255 + 6 > outEnd) return 0;
    const token = to++;
    if (literals >= 15) to = storeLength(to, literals - 15);
    copyVectors(to, anchor, literals);
    to += literals;
    store<u16>(to, <u16>(at - other));
    to += 2;
    if (matched >= 15) to = storeLength(to, matched - 15);
    store<u8>(token, <u8>((min<usize>(literals, 15) << 4) | min<usize>(matched, 15)));
    at = next;
    anchor = next;
    if (at <= lastStart) {
      const inside = load<u32>(at - 2);
      store<u16>(table + (<usize>((inside * 2654435761) >> (32 - HASH_BITS)) << 1), <u16>(at - 2 - from));
    }
  }
  const literals = end - anchor;
  if (to + literals + literals / 255 + 2 > outEnd) return 0;
  store<u8>(to++, <u8>(min<usize>(literals, 15) << 4));
  if (literals >= 15) to = storeLength(to, literals - 15);
  copyVectors(to, anchor, literals);
  return <u32>(to + literals - start);
}

// A match may overlap what it makes: its first bytes repeat. Behind the first few, the same bytes
// lie a whole vector back as well.
@inline function copyMatch(to: usize, offset: usize, length: usize): void {
  let back = offset;
  if (offset < 16) {
    back = offset * (15 / offset + 1);
    for (let at: usize = 0; at < back; at++) store<u8>(to + at, load<u8>(to + at - offset));
    if (length <= back) return;
    to += back;
    length -= back;
  }
  copyVectors(to, to - back, length);
}

// Bytes written at `to`, at most `limit`; -1 for a block that is malformed or longer than that.
// Nothing beyond the limit is written, whatever the block is.
export function decode(from: usize, length: usize, to: usize, limit: usize): i32 {
  const start = to, end = from + length, outEnd = to + limit;
  while (from < end) {
    const token = <usize>load<u8>(from++);
    let literals = token >> 4;
    if (literals == 15) {
      let more: usize;
      do {
        if (from >= end) return -1;
        more = load<u8>(from++);
        literals += more;
      } while (more == 255);
    }
    if (literals > end - from || literals > outEnd - to) return -1;
    if (to + literals + COPY_SLACK <= outEnd) copyVectors(to, from, literals);
    else memory.copy(to, from, literals);
    from += literals;
    to += literals;
    // Only the last sequence has no match.
    if (from == end) return <i32>(to - start);
    if (end - from < 2) return -1;
    const offset = <usize>load<u16>(from);
    from += 2;
    if (offset == 0 || offset > to - start) return -1;
    let matched = token & 15;
    if (matched == 15) {
      let more: usize;
      do {
        if (from >= end) return -1;
        more = load<u8>(from++);
        matched += more;
      } while (more == 255);
    }
    matched += MIN_MATCH;
    if (matched > outEnd - to) return -1;
    // Close to the end byte by byte: nothing may be written behind it.
    const room = outEnd - to - COPY_SLACK;
    let copied: usize = 0;
    if (to + COPY_SLACK < outEnd) {
      copied = min(matched, room);
      copyMatch(to, offset, copied);
    }
    for (; copied < matched; copied++) store<u8>(to + copied, load<u8>(to + copied - offset));
    to += matched;
  }
  return -1;
}
