import {
  mayWaitToRead, mayWaitToWrite, openForRead, openForWrite, pageAddress,
} from '../../guestmem/soft-mmu/soft-mmu';
import { increment } from './noise';
import { blockFirstPfn, blockPages, keepProgress } from './slice';

const RANDOM: u32 = 1;
const ZIPF: u32 = 2;
const WALK: u32 = 3;
// A walk takes steps of up to so many pages, and one in 256 goes anywhere.
const WALK_REACH: u32 = 64;

// This vCPU's part of the hot range, in guest pages, and what it does there.
let partFirst: u32 = 0;
let partPages: u32 = 0;
let pattern: u32 = 0;
let words: u32 = 1;
let step: u32 = 64;
let readPercent: u32 = 0;

export function memwriteConfigure(
  first: u32, pages: u32, patternNumber: u32, wordCount: u32, stepBytes: u32, readShare: u32,
): void {
  partFirst = first;
  partPages = pages;
  pattern = patternNumber;
  words = wordCount;
  step = stepBytes;
  readPercent = readShare;
}

@inline function xorshift(x: u32): u32 {
  x ^= x << 13;
  x ^= x >> 17;
  return x ^ (x << 5);
}

// Uniform in [0, bound) from 32 random bits.
@inline function below(random: u32, bound: u32): u32 {
  return <u32>((<u64>random * <u64>bound) >> 32);
}

// Up to `budget` accesses, the first to guest page `pfn`. Stops early when the next page lies in
// another block.
export function memwriteRun(pfn: u32, random: u32, budget: u32): u32 {
  let done: u32 = 0, reads: u32 = 0, seen: u32 = 0;
  while (done < budget) {
    const local = pfn - blockFirstPfn;
    if (local >= blockPages) break;
    const gpa = local << 12, before = random;
    let write = true;
    if (readPercent != 0) {
      random = xorshift(random);
      write = below(random, 100) >= readPercent;
    }
    if (write) {
      if (mayWaitToWrite(gpa)) {
        keepProgress(done, pfn, before, reads);
        openForWrite(gpa);
      }
      const page = pageAddress(gpa);
      for (let i: u32 = 0, at: usize = 0; i < words; i++, at += step) {
        store<u32>(page + at, load<u32>(page + at) + increment(i));
      }
    } else {
      if (mayWaitToRead(gpa)) {
        keepProgress(done, pfn, before, reads);
        openForRead(gpa);
      }
      const page = pageAddress(gpa);
      for (let i: u32 = 0, at: usize = 0; i < words; i++, at += step) seen ^= load<u32>(page + at);
      reads++;
    }
    done++;
    if (pattern == RANDOM) {
      random = xorshift(random);
      pfn = partFirst + below(random, partPages);
    } else if (pattern == ZIPF) {
      // Rank r with a chance of about 1/r, without a logarithm: an octave of ranks, then a rank
      // within it.
      random = xorshift(random);
      const octave = <u32>1 << below(random, 32 - clz(partPages));
      random = xorshift(random);
      pfn = partFirst + octave - 1 + below(random, min(octave, partPages - octave + 1));
    } else if (pattern == WALK) {
      random = xorshift(random);
      if (random >> 24 == 0) {
        random = xorshift(random);
        pfn = partFirst + below(random, partPages);
      } else {
        // The upper bits have decided; the end of the part joins its beginning.
        const reach = min(WALK_REACH, partPages);
        const step = below(random << 8, 2 * reach + 1) + partPages - reach;
        pfn = partFirst + (pfn - partFirst + step) % partPages;
      }
    } else {
      pfn++;
      if (pfn - partFirst >= partPages) pfn = partFirst;
    }
  }
  lastSeen = seen;
  keepProgress(done, pfn, random, reads);
  return done;
}

// Keeps the compiler from dropping the reads.
let lastSeen: u32 = 0;
export function memwriteSeen(): u32 { return lastSeen; }
