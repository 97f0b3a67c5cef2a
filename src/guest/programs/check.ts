// Tells whether pages of a paused guest hold exactly what its program must have left there. These
// only look, so they read RAM directly.
import { mmuRamBase } from '../../guestmem/soft-mmu/soft-mmu';
import { contentOf, increment, noiseNext, noiseStart } from './noise';
import { blockFirstPfn, seed } from './slice';

let offset: u32 = 0;
let expected: u32 = 0;
let actual: u32 = 0;
let versions: u32 = 0;

// Where in the bad page, what should be there, and what is (a byte or a word, as the check
// compares).
export function badOffset(): u32 { return offset; }
export function badExpected(): u32 { return expected; }
export function badActual(): u32 { return actual; }
// Sum of the versions (modulo 2^32) of the good pages of the last call of checkVersions().
export function versionSum(): u32 { return versions; }
export function setVersionSum(sum: u32): void { versions = sum; }

@inline export function checkedPage(pfn: u32): usize {
  return mmuRamBase() + (<usize>(pfn - blockFirstPfn) << 12);
}

// Always false.
export function bad(at: usize, wanted: u32, found: u32): bool {
  offset = <u32>at;
  expected = wanted;
  actual = found;
  return false;
}

// Each check returns the pages that it found good, from `first` on: `count`, or the index of the
// first bad one.
export function checkZero(first: u32, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) if (!zeroFrom(checkedPage(first + i), 0)) return i;
  return count;
}

function zeroFrom(page: usize, from: usize): bool {
  for (let at = from; at < 4096; at += 16) {
    if (!v128.any_true(v128.load(page + at))) continue;
    while (load<u8>(page + at) == 0) at++;
    return bad(at, 0, load<u8>(page + at));
  }
  return true;
}

// Byte 0 is `value`, the rest zero.
export function checkAb(first: u32, count: u32, value: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const page = checkedPage(first + i);
    const found = load<u8>(page);
    if (found != <u8>value) {
      bad(0, value, found);
      return i;
    }
    for (let at: usize = 1; at < 16; at++) {
      if (load<u8>(page + at) != 0) {
        bad(at, 0, load<u8>(page + at));
        return i;
      }
    }
    if (!zeroFrom(page, 16)) return i;
  }
  return count;
}

// Noise (or zeros) in which `words` words, `step` bytes apart, were raised by as many increments as
// the page has versions. The first word tells the version; all others must agree. `words` = 0:
// pages that are never written.
export function checkVersions(first: u32, count: u32, noise: bool, words: u32, step: u32): u32 {
  versions = 0;
  for (let i: u32 = 0; i < count; i++) if (!checkPage(first + i, noise, words, step)) return i;
  return count;
}

function checkPage(pfn: u32, noise: bool, words: u32, step: u32): bool {
  const page = checkedPage(pfn);
  let x = noise ? noiseStart(seed, pfn) : 0;
  let version: u32 = 0, word: u32 = 0;
  let next: usize = words == 0 ? 4096 : 0;
  for (let at: usize = 0; at < 4096; at += 8) {
    if (noise) x = noiseNext(x);
    const filled = noise ? contentOf(x, pfn) : 0;
    let wanted = filled;
    for (let half: usize = 0; half < 8; half += 4) {
      if (at + half != next) continue;
      const base = <u32>(filled >> (half << 3));
      if (word == 0) version = (load<u32>(page) - base) * inverse(increment(0));
      wanted = (wanted & ~(<u64>0xffffffff << (half << 3)))
        | (<u64>(base + version * increment(word)) << (half << 3));
      word++;
      next = word < words ? next + step : 4096;
    }
    const found = load<u64>(page + at);
    if (found != wanted) {
      const half: usize = <u32>found != <u32>wanted ? 0 : 4;
      return bad(at + half, <u32>(wanted >> (half << 3)), <u32>(found >> (half << 3)));
    }
  }
  versions += version;
  return true;
}

// Multiplicative inverse of an odd number modulo 2^32 (Newton; each step doubles the correct bits,
// from 3).
function inverse(odd: u32): u32 {
  let x = odd;
  for (let i = 0; i < 4; i++) x *= 2 - odd * x;
  return x;
}
