// Where things lie, set by the host; and what is true only while an instruction is executed.
// Nothing here is the guest's state: that is in the state block, at `hart`.
import {
  CODE_MAP_PAGES, DECODE_CACHE, DECODE_PAGES, DECODE_PAGE_BYTES, HART_AREA_BYTES,
} from './hart-layout';

// Blocks until the page is there: 1; or 0 when this vCPU must come to its safepoint before.
@external("env", "pageMissing")
declare function pageMissing(pfn: u32): i32;

export const RAM_BASE: u64 = 0x80000000;
export const PAGE_SHIFT: u32 = 12;
export const PAGE_BYTES: u32 = 4096;
export const PAGE_MASK: u64 = 4095;

export const USER: u32 = 0;
export const SUPERVISOR: u32 = 1;
export const MACHINE: u32 = 3;

// How an instruction ended that could not simply go on.
export const DONE: u32 = 0;
// It did not happen; `trapCause` and `trapValue` say why.
export const TRAP: u32 = 1;
// It did not happen, because a page is missing and the host is called to its safepoint.
export const INTERRUPTED: u32 = 2;
// It happened, and may have changed what is pending, permitted or mapped.
export const SYNCHRONISE: u32 = 3;
// Of the interpreter's own: go on with the next instruction; jump to `pc`; there is no
// floating-point unit just now, or no such rounding mode.
export const NEXT: u32 = 4;
export const JUMP: u32 = 5;
export const FLOAT_OFF: u32 = 6;

export const CAUSE_FETCH_ACCESS: u32 = 1;
export const CAUSE_ILLEGAL: u32 = 2;
export const CAUSE_BREAKPOINT: u32 = 3;
export const CAUSE_LOAD_MISALIGNED: u32 = 4;
export const CAUSE_STORE_MISALIGNED: u32 = 6;
export const CAUSE_ECALL: u32 = 8;

export const FETCH: u32 = 0;
export const LOAD: u32 = 1;
export const STORE: u32 = 2;

// The area of the hart that this instance serves; it begins with the state block.
export let hart: usize = 0;
// Address of guest-physical RAM_BASE in this memory.
export let ram: usize = 0;
export let ramPages: u32 = 0;
export let dirtyMap: usize = 0;
let receivedMap: usize = 0;
let postcopy: bool = false;

export let trapCause: u32 = 0;
export let trapValue: u64 = 0;

export function configureContext(area: usize, ramAddress: usize, pages: u32, received: usize): void {
  hart = area;
  ram = ramAddress;
  ramPages = pages;
  receivedMap = received;
  // What the layout has room for.
  if (pages > <u32>CODE_MAP_PAGES) unreachable();
  if (DECODE_CACHE + DECODE_PAGES * DECODE_PAGE_BYTES > HART_AREA_BYTES) unreachable();
}

export function selectDirtyMap(map: usize): void {
  dirtyMap = map;
}

export function selectPostcopy(on: bool): void {
  postcopy = on;
}

export function raise(cause: u32, value: u64): u32 {
  trapCause = cause;
  trapValue = value;
  return TRAP;
}

// Access fault and page fault of a kind of access.
@inline export function accessFault(access: u32): u32 {
  return access == FETCH ? 1 : access == LOAD ? 5 : 7;
}

@inline export function pageFault(access: u32): u32 {
  return access == FETCH ? 12 : access == LOAD ? 13 : 15;
}

@inline export function inRam(address: u64): bool {
  return (address - RAM_BASE) >> PAGE_SHIFT < <u64>ramPages;
}

@inline export function pfnOf(address: u64): u32 {
  return <u32>((address - RAM_BASE) >> PAGE_SHIFT);
}

// Of an address in RAM: where it is in this memory.
@inline export function ramAddress(address: u64): usize {
  return ram + <usize>(address - RAM_BASE);
}

// Waits for a page of RAM. DONE or INTERRUPTED.
export function awaitPage(pfn: u32): u32 {
  if (!postcopy) return DONE;
  // Pairs with the atomic store of the received map's byte, which the migration worker does after
  // the page's bytes.
  while (atomic.load<u8>(receivedMap + pfn) == 0) {
    if (!pageMissing(pfn)) return INTERRUPTED;
  }
  return DONE;
}

@inline export function markDirty(pfn: u32): void {
  store<u8>(dirtyMap + pfn, 1);
}
