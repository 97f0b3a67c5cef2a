// Which pages hold decoded code, and which of them were written since. A page that was decoded is
// kept out of the TLB for writes, so that the first write to it is seen; from then on it may be
// written at full speed, because what was decoded is dropped at the next FENCE.I anyway.
import { dirtyMap, hart, ram, ramPages } from '../context';
import { CODE_MAP, WRITTEN_PAGES, WRITTEN_PAGES_MAX } from '../hart-layout';
import { dropWrites } from './tlb';

const UNKNOWN: u32 = 0;
const DECODED: u32 = 1;
const WRITTEN: u32 = 2;

// Of the list; above its maximum, it does not name all.
let writtenCount: u32 = 0;

@inline function mark(pfn: u32): usize {
  return hart + CODE_MAP + pfn;
}

export function resetCodeWatch(): void {
  memory.fill(hart + CODE_MAP, 0, ramPages);
  writtenCount = 0;
}

// Before a page's first instruction is decoded.
export function watchCode(pfn: u32): void {
  if (load<u8>(mark(pfn)) != UNKNOWN) return;
  store<u8>(mark(pfn), DECODED);
  // What is not marked in the current dirty map is not in the TLB for writes.
  if (load<u8>(dirtyMap + pfn) != 0) dropWrites(ram + (<usize>pfn << 12));
}

// When nothing of the page is decoded any more.
export function unwatchCode(pfn: u32): void {
  if (load<u8>(mark(pfn)) == DECODED) store<u8>(mark(pfn), UNKNOWN);
}

// Before an entry for writing is made, and after any other write to RAM.
export function noteCodeWrite(pfn: u32): void {
  if (pfn >= ramPages || load<u8>(mark(pfn)) != DECODED) return;
  store<u8>(mark(pfn), WRITTEN);
  if (writtenCount < <u32>WRITTEN_PAGES_MAX) {
    store<u32>(hart + WRITTEN_PAGES + (writtenCount << 2), pfn);
  }
  writtenCount++;
}

@inline export function wereTooManyWritten(): bool {
  return writtenCount > <u32>WRITTEN_PAGES_MAX;
}

// Takes a page off the list of what was written; -1 when the list is empty.
export function takeWritten(): i32 {
  if (writtenCount == 0) return -1;
  writtenCount--;
  const pfn = load<u32>(hart + WRITTEN_PAGES + (writtenCount << 2));
  store<u8>(mark(pfn), UNKNOWN);
  return pfn;
}
