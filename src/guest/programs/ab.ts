import { load8, store8 } from '../../guestmem/soft-mmu/soft-mmu';
import { blockFirstPfn, blockPages, endSlice } from './slice';

// QEMU's test guest: adds one to byte 0 of each page of the part, ascending, for ever. Up to
// `budget` pages from guest page `pfn` on; stops early when the next page lies in another block.
export function abRun(pfn: u32, partFirst: u32, partPages: u32, budget: u32): u32 {
  let done: u32 = 0;
  while (done < budget) {
    const local = pfn - blockFirstPfn;
    if (local >= blockPages) break;
    const gpa = local << 12;
    store8(gpa, load8(gpa) + 1);
    done++;
    pfn++;
    if (pfn - partFirst >= partPages) pfn = partFirst;
  }
  endSlice(pfn, 0, 0);
  return done;
}
