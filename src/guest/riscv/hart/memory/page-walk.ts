// From virtual to physical addresses: Sv39, with A and D set here.
import {
  accessFault, awaitPage, DONE, FETCH, hart, INTERRUPTED, inRam, LOAD, markDirty, pageFault, pfnOf,
  raise, ramAddress, STORE,
} from '../context';
import { MSTATUS, SATP } from '../hart-layout';
import { noteCodeWrite } from './code-watch';
import { pmpPermits } from './pmp';
import { MODE_MACHINE, MODE_PERMITTED, MODE_SUPERVISOR, MODE_USER } from './tlb';

const V: u64 = 1;
const R: u64 = 2;
const W: u64 = 4;
const X: u64 = 8;
const U: u64 = 16;
const G: u64 = 32;
const A: u64 = 64;
const D: u64 = 128;
// N, PBMT and what no extension has taken yet.
const RESERVED: u64 = 0xffc0000000000000;
const PPN_MASK: u64 = 0xfffffffffff;
const MXR: u64 = 1 << 19;

// What the last translation found.
export let physical: u64 = 0;
export let level: u32 = 0;
export let isGlobal: bool = false;
// The physical address of the leaf's entry, the entry, and what must be set in it; 0: nothing.
let leaf: u64 = 0;
let leafEntry: u64 = 0;
let leafFlags: u64 = 0;

// Finds `physical` and waits for its page, without any effect on the guest. DONE, TRAP or
// INTERRUPTED.
export function probe(address: u64, access: u32, mode: u32): u32 {
  leafFlags = 0;
  level = 0;
  isGlobal = mode == MODE_MACHINE;
  physical = address;
  if (mode != MODE_MACHINE && load<u64>(hart + SATP) >> 60 != 0) {
    const event = walk(address, access, mode);
    if (event != DONE) return event;
  }
  if (!pmpPermits(physical, access, mode)) return raise(accessFault(access), address);
  return inRam(physical) ? awaitPage(pfnOf(physical)) : DONE;
}

// The same for an access that is going to happen: A and D are set.
export function translate(address: u64, access: u32, mode: u32): u32 {
  for (;;) {
    const event = probe(address, access, mode);
    if (event != DONE || leafFlags == 0) return event;
    if (!pmpPermits(leaf, STORE, MODE_SUPERVISOR)) return raise(accessFault(access), address);
    // Exactly the entry that was judged: another hart may have changed it meanwhile.
    const seen = atomic.cmpxchg<u64>(ramAddress(leaf), leafEntry, leafEntry | leafFlags);
    if (seen != leafEntry) continue;
    markDirty(pfnOf(leaf));
    noteCodeWrite(pfnOf(leaf));
    return DONE;
  }
}

function walk(address: u64, access: u32, mode: u32): u32 {
  if (<u64>((<i64>address << 25) >> 25) != address) return raise(pageFault(access), address);
  let table = (load<u64>(hart + SATP) & PPN_MASK) << 12;
  for (let depth: i32 = 2; depth >= 0; depth--) {
    const shift = <u64>(12 + 9 * depth);
    const at = table + (((address >> shift) & 511) << 3);
    if (!inRam(at) || !pmpPermits(at, LOAD, MODE_SUPERVISOR)) {
      return raise(accessFault(access), address);
    }
    if (awaitPage(pfnOf(at)) != DONE) return INTERRUPTED;
    const entry = atomic.load<u64>(ramAddress(at));
    if ((entry & V) == 0 || (entry & (R | W)) == W || (entry & RESERVED) != 0) break;
    const ppn = (entry >> 10) & PPN_MASK;
    if ((entry & (R | X)) == 0) {
      if ((entry & (A | D | U)) != 0) break;
      table = ppn << 12;
      continue;
    }
    const inside = (<u64>1 << shift) - 1;
    if (((ppn << 12) & inside) != 0 || !permits(entry, access, mode)) break;
    physical = (ppn << 12) | (address & inside);
    level = depth;
    isGlobal = (entry & G) != 0;
    leaf = at;
    leafEntry = entry;
    leafFlags = (access == STORE ? A | D : A) & ~entry;
    return DONE;
  }
  return raise(pageFault(access), address);
}

function permits(entry: u64, access: u32, mode: u32): bool {
  if (mode == MODE_USER) {
    if ((entry & U) == 0) return false;
  } else if ((entry & U) != 0) {
    // A supervisor never executes what users may, and reaches their data only when it said so.
    if (mode != MODE_PERMITTED || access == FETCH) return false;
  }
  if (access == FETCH) return (entry & X) != 0;
  if (access == STORE) return (entry & W) != 0;
  if ((entry & R) != 0) return true;
  return (entry & X) != 0 && (load<u64>(hart + MSTATUS) & MXR) != 0;
}
