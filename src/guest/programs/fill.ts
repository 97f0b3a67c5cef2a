import { mayWaitToWrite, pageForWrite } from '../../guestmem/soft-mmu/soft-mmu';
import { contentOf, noiseNext, noiseStart } from './noise';
import { blockFirstPfn, blockPages, keepProgress, seed } from './slice';

// Fills up to `count` pages from guest page `first` on with its content, and stops at the end of
// the block. Returns how many.
export function fillRun(first: u32, count: u32): u32 {
  const local = first - blockFirstPfn;
  const pages: u32 = local >= blockPages ? 0 : min(count, blockPages - local);
  for (let i: u32 = 0; i < pages; i++) {
    const gpa = (local + i) << 12;
    if (mayWaitToWrite(gpa)) keepProgress(i, first + i, 0, 0);
    const page = pageForWrite(gpa);
    let x = noiseStart(seed, first + i);
    for (let at: usize = 0; at < 4096; at += 8) {
      x = noiseNext(x);
      store<u64>(page + at, contentOf(x, first + i));
    }
  }
  keepProgress(pages, first + pages, 0, 0);
  return pages;
}
