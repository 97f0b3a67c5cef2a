import { keepProgress, openSwept } from './slice';

// This vCPU's part of the swept range, in guest pages, and what it writes there: one byte or one
// word at each multiple of the stride.
let partFirst: u32 = 0;
let partPages: u32 = 0;
let unit: u32 = 4;
let stride: usize = 16;

export function lmbenchConfigure(
  first: u32, pages: u32, unitBytes: u32, strideBytes: u32,
): void {
  partFirst = first;
  partPages = pages;
  unit = unitBytes;
  stride = strideBytes;
}

// The memory write of LMbench, with an increment in the place of a constant, so that each sweep
// leaves something new. Up to `budget` pages, ascending; stops early when the next page lies in
// another block.
export function lmbenchRun(pfn: u32, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    const page = openSwept(pfn, done);
    if (page == 0) break;
    if (unit == 1) {
      for (let at: usize = 0; at < 4096; at += stride) {
        store<u8>(page + at, load<u8>(page + at) + 1);
      }
    } else {
      for (let at: usize = 0; at < 4096; at += stride) {
        store<u32>(page + at, load<u32>(page + at) + 1);
      }
    }
    done++;
    pfn++;
    if (pfn - partFirst >= partPages) pfn = partFirst;
  }
  keepProgress(done, pfn, 0, 0);
  return done;
}
