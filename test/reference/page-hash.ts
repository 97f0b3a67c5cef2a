import { PAGE_BYTES } from '../../src/base/index.ts';

/**
 * The page hash as docs/protocol.md defines it, in plain arithmetic: the twin of
 * kernels/page-hash.ts.
 */
const FRAME_NUMBER_FACTOR = 0x9e3779b97f4a7c15n;
const FOLD_FACTOR = 0xd6e8feb86659fd93n;
const KEY_STEP = 0x9e3779b1;
const FIRST_KEYS = [0x1b873593, 0x7f4a7c15, 0x66591d93, 0x52dce729];

const LOW_64 = 2n ** 64n - 1n;
const STRIPE_BYTES = 64;
const HALF_BYTES = 32;

export function isZeroPage(page: Uint8Array): boolean {
  return page.every((byte) => byte === 0);
}

/** 0 for a page of zeros, and for no other. */
export function pageHash(page: Uint8Array, pfn: number): bigint {
  if (isZeroPage(page)) return 0n;
  const view = new DataView(page.buffer, page.byteOffset, PAGE_BYTES);
  // Four accumulators of two lanes each: a, b, c, d.
  const sums = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
  let keys = FIRST_KEYS;
  for (let at = 0; at < PAGE_BYTES; at += STRIPE_BYTES) {
    addHalf(sums, 0, view, at, keys, at + HALF_BYTES);
    keys = step(keys);
    addHalf(sums, 4, view, at + HALF_BYTES, keys, at);
    keys = step(keys);
  }
  let hash = (BigInt(pfn) * FRAME_NUMBER_FACTOR) & LOW_64;
  for (let lane = 0; lane < sums.length; lane += 2) {
    hash = ((rotateLeft(hash, 29n) ^ (sums[lane]! & LOW_64)) * FOLD_FACTOR) & LOW_64;
    hash = ((rotateLeft(hash, 31n) ^ (sums[lane + 1]! & LOW_64)) * FOLD_FACTOR) & LOW_64;
  }
  hash ^= hash >> 32n;
  return hash === 0n ? 1n : hash;
}

/**
 * Adds to four lanes the products of the half's words, each of the first four with its partner of
 * the last four, and the other half as it is. Masked to 64 bits at the end.
 */
function addHalf(
  sums: bigint[],
  lane: number,
  view: DataView,
  half: number,
  keys: readonly number[],
  otherHalf: number,
): void {
  for (let index = 0; index < 4; index += 1) {
    const key = keys[index]!;
    const sum = (view.getUint32(half + index * 4, true) + key) >>> 0;
    const difference = (view.getUint32(half + 16 + index * 4, true) ^ key) >>> 0;
    const product = BigInt(sum) * BigInt(difference);
    sums[lane + index]! += product + view.getBigUint64(otherHalf + index * 8, true);
  }
}

function step(keys: readonly number[]): number[] {
  return keys.map((key) => (key + KEY_STEP) >>> 0);
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & LOW_64;
}
