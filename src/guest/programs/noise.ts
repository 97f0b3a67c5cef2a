// The noise with which a guest fills its RAM: it depends on nothing but the seed and the guest page
// number, so that any side can tell what a page must hold.

// Where the sequence of a page begins (the finalizer of splitmix64; never 0, the fixed point of
// xorshift).
export function noiseStart(seed: u32, pfn: u32): u64 {
  let x = ((<u64>seed << 32) | <u64>pfn) + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return (x ^ (x >> 31)) | 1;
}

// The next eight bytes of the page (xorshift64).
@inline export function noiseNext(x: u64): u64 {
  x ^= x << 13;
  x ^= x >> 7;
  return x ^ (x << 17);
}

const NOISE: u32 = 0;
const TEXT: u32 = 1;
const MIXED: u32 = 2;
let content: u32 = NOISE;

// What RAM is filled with: noise, or text, which LZ4 makes less than half as long, or mixed: runs
// of both in turns.
export function programContent(chosen: u32): void {
  content = chosen;
}

const RUN_SHIFT: u32 = 6;

// Of the page, where its noise is `x`: text is made of sixteen words.
@inline export function contentOf(x: u64, pfn: u32): u64 {
  const isText = content == TEXT || (content == MIXED && ((pfn >> RUN_SHIFT) & 1) == 1);
  return isText ? ((x & 15) + 1) * 0x9e3779b97f4a7c15 : x;
}

// What one write adds to word i: odd, so that no number of writes below 2^32 leaves the word as it
// was, and different for each word, so that words of two versions never fit together.
@inline export function increment(word: u32): u32 {
  return ((word << 1) + 1) * 0x9e3779b1;
}
