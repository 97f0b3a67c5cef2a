// The benchmark of the soft MMU: one loop of stores over [from, to) of the block's RAM, without it,
// through it as the workloads use it (a page is opened once), and with a check at each store, as
// for scattered single stores.
import { mmuRamBase, pageForWrite, store32 } from '../../guestmem/soft-mmu/soft-mmu';

export function storeLoopBare(from: u32, to: u32, value: u32): void {
  const ram = mmuRamBase();
  for (let gpa = from; gpa < to; gpa += 4) store<u32>(ram + gpa, value);
}

export function storeLoopMmu(from: u32, to: u32, value: u32): void {
  let gpa = from;
  while (gpa < to) {
    const page = pageForWrite(gpa);
    const pageFirst = gpa & ~4095;
    const end = min<u32>(to - pageFirst, 4096);
    for (let at = gpa - pageFirst; at < end; at += 4) store<u32>(page + at, value);
    gpa = pageFirst + 4096;
  }
}

export function storeLoopMmuSingle(from: u32, to: u32, value: u32): void {
  for (let gpa = from; gpa < to; gpa += 4) store32(gpa, value);
}

// One word in each page: the pattern of a guest that dirties memory as fast as it can.
export function pageLoopBare(from: u32, to: u32, value: u32): void {
  const ram = mmuRamBase();
  for (let gpa = from; gpa < to; gpa += 4096) store<u32>(ram + gpa, value);
}

export function pageLoopMmu(from: u32, to: u32, value: u32): void {
  for (let gpa = from; gpa < to; gpa += 4096) store32(gpa, value);
}
