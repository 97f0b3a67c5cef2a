import { pageForRead } from '../../guestmem/soft-mmu/soft-mmu';
import { noiseNext, noiseStart } from './noise';
import { blockFirstPfn, keepProgress, openSwept, seed } from './slice';

// A page of a frame: u32 number of the frame · u32 page within the frame · u32 zero · u32 checksum
// of number, page and content · 4080 bytes of content.
export const STREAM_HEADER: usize = 16;
const NUMBER: usize = 0;
const INDEX: usize = 4;
const ZERO: usize = 8;
export const STREAM_CHECKSUM: usize = 12;

// This vCPU's part of the ring, in guest pages: whole frames.
let partFirst: u32 = 0;
let partPages: u32 = 0;
let framePages: u32 = 1;
// The content that each frame has for itself ends here; what follows is the same in every frame of
// that place, as in a picture that stands still.
let changeEnd: usize = 4096;

export function streamConfigure(
  first: u32, pages: u32, pagesPerFrame: u32, changedBytes: u32,
): void {
  partFirst = first;
  partPages = pages;
  framePages = pagesPerFrame;
  changeEnd = STREAM_HEADER + changedBytes;
}

// The frame that a page belongs to after it was written so many times; the first is 0.
@inline export function frameNumber(pfn: u32, version: u32): u32 {
  return (version - 1) * (partPages / framePages) + (pfn - partFirst) / framePages;
}

@inline export function frameIndex(pfn: u32): u32 {
  return (pfn - partFirst) % framePages;
}

// FNV-1a over words instead of bytes: a client in JavaScript must keep up.
@inline export function hashStart(number: u32, index: u32): u32 {
  return hashNext(hashNext(0x811c9dc5, number), index);
}

@inline export function hashNext(hash: u32, word: u32): u32 {
  return (hash ^ word) * 0x01000193;
}

// The content of a page at `at`: noise of its own for each version, and after that the noise of the
// place. The caller begins with `changingNoise` and goes over to `restingNoise` at `changesEnd`.
@inline export function changesEnd(): usize { return changeEnd; }

@inline export function changingNoise(pfn: u32, version: u32): u64 {
  return noiseStart(seed + version * 0x9e3779b1, pfn);
}

@inline export function restingNoise(pfn: u32): u64 {
  return noiseStart(~seed, pfn);
}

// Writes up to `budget` pages of frames, the first to guest page `pfn`, for the `version`-th time.
// Stops early when the next page lies in another block.
export function streamRun(pfn: u32, version: u32, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    const page = openSwept(pfn, done);
    if (page == 0) break;
    writePage(page, pfn, version);
    done++;
    pfn++;
    if (pfn - partFirst >= partPages) {
      pfn = partFirst;
      version++;
    }
  }
  keepProgress(done, pfn, 0, 0);
  return done;
}

function writePage(page: usize, pfn: u32, version: u32): void {
  const number = frameNumber(pfn, version), index = frameIndex(pfn);
  let hash = hashStart(number, index);
  let x = changingNoise(pfn, version);
  for (let at = STREAM_HEADER; at < 4096; at += 8) {
    if (at == changeEnd) x = restingNoise(pfn);
    x = noiseNext(x);
    store<u64>(page + at, x);
    hash = hashNext(hashNext(hash, <u32>x), <u32>(x >> 32));
  }
  store<u32>(page + NUMBER, number);
  store<u32>(page + INDEX, index);
  store<u32>(page + ZERO, 0);
  store<u32>(page + STREAM_CHECKSUM, hash);
}

// The address of a page of a frame, good until the slice ends, for the device that copies it.
export function streamPage(pfn: u32): usize {
  return pageForRead((pfn - blockFirstPfn) << 12);
}
