import { pageForWrite } from '../../guestmem/soft-mmu/soft-mmu';
import { noiseNext, noiseStart } from './noise';
import { blockFirstPfn, blockPages, seed } from './slice';

// Fills up to `count` pages from guest page `first` on with noise, and stops at the end of the
// block. Returns how many.
export function fillRun(first: u32, count: u32): u32 {
  const local = first - blockFirstPfn;
  if (local >= blockPages) return 0;
  const pages = min(count, blockPages - local);
  for (let i: u32 = 0; i < pages; i++) {
    const page = pageForWrite((local + i) << 12);
    let x = noiseStart(seed, first + i);
    for (let at: usize = 0; at < 4096; at += 8) {
      x = noiseNext(x);
      store<u64>(page + at, x);
    }
  }
  return pages;
}
