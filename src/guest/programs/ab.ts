import { load8, mayWaitToWrite, store8 } from '../../guestmem/soft-mmu/soft-mmu';
import { blockFirstPfn, blockPages, keepProgress } from './slice';

// QEMU's test guest: adds one to byte 0 of each page of the part, ascending, for ever. Up to
// `budget` pages from guest page `pfn` on; stops early when the next page lies in another block.
export function abRun(pfn: u32, partFirst: u32, partPages: u32, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    const local = pfn - blockFirstPfn;
    if (local >= blockPages) break;
    const gpa = local << 12;
    if (mayWaitToWrite(gpa)) keepProgress(done, pfn, 0, 0);
    store8(gpa, load8(gpa) + 1);
    done++;
    pfn++;
    if (pfn - partFirst >= partPages) pfn = partFirst;
  }
  keepProgress(done, pfn, 0, 0);
  return done;
}
