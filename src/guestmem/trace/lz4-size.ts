/**
 * How long a page would be as an LZ4 block, without making one: what a recorder and a plan need.
 * The greedy search of the reference encoder (lz4_Block_format.md), with a table of 4096 places.
 */

const HASH_BITS = 12;
const MATCH_MIN = 4;
/** The last five bytes are literals, and no match begins in the last twelve. */
const LAST_LITERALS = 5;
const LAST_MATCH = 12;
const table = new Int32Array(2 ** HASH_BITS);

/** `bytes.length` when it would not get smaller. */
export function lz4Size(bytes: Uint8Array): number {
  table.fill(-1);
  const end = bytes.length;
  let size = 0;
  let anchor = 0;
  let at = 0;
  while (at < end - LAST_MATCH) {
    const word = wordAt(bytes, at);
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
    const from = table[slot] as number;
    table[slot] = at;
    if (from < 0 || wordAt(bytes, from) !== word) {
      at += 1;
      continue;
    }
    let length = MATCH_MIN;
    while (at + length < end - LAST_LITERALS && bytes[from + length] === bytes[at + length]) {
      length += 1;
    }
    size += 3 + lengthBytes(at - anchor, 15) + (at - anchor) + lengthBytes(length - MATCH_MIN, 15);
    at += length;
    anchor = at;
  }
  const literals = end - anchor;
  return Math.min(end, size + 1 + lengthBytes(literals, 15) + literals);
}

function lengthBytes(length: number, limit: number): number {
  return length < limit ? 0 : 1 + Math.floor((length - limit) / 255);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
