// What all programs share: the block that this instance serves, and the results of a slice. They
// are globals of the instance, not memory: the memory is the guest's.

import { mayWaitToWrite, openForWrite, pageAddress } from '../../guestmem/soft-mmu/soft-mmu';

export let blockFirstPfn: u32 = 0;
export let blockPages: u32 = 0;
export let seed: u32 = 0;

export function programConfigure(firstPfn: u32, pages: u32, noiseSeed: u32): void {
  blockFirstPfn = firstPfn;
  blockPages = pages;
  seed = noiseSeed;
}

let pages: u32 = 0;
let pfn: u32 = 0;
let random: u32 = 0;
let reads: u32 = 0;

// Notes how far the slice has come: at its end, and before each access that may have to wait for a
// missing page. The host may throw out of such a wait, and the locals of the program are lost then:
// what stands here is all that is left, and repeats exactly that access. Only accesses that take
// the slow path anyway pay for it.
@inline export function keepProgress(done: u32, next: u32, randomState: u32, readCount: u32): void {
  pages = done;
  pfn = next;
  random = randomState;
  reads = readCount;
}

// The guest page at which a sweep over a part goes on, opened for writing: the address of its bytes
// until the end of the slice; 0 when it lies in another block. `done`: pages before it.
@inline export function openSwept(next: u32, done: u32): usize {
  const local = next - blockFirstPfn;
  if (local >= blockPages) return 0;
  const gpa = local << 12;
  if (mayWaitToWrite(gpa)) {
    keepProgress(done, next, 0, 0);
    openForWrite(gpa);
  }
  return pageAddress(gpa);
}

// After a slice: the accesses that were made, the guest page at which it goes on (it may lie in
// another block), the random state, and how many of its accesses only read.
export function pagesDone(): u32 { return pages; }
export function nextPfn(): u32 { return pfn; }
export function nextRandom(): u32 { return random; }
export function readCount(): u32 { return reads; }
