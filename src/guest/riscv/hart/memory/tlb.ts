// The soft TLBs: for reads, writes and fetches, and in each for every mode of access, 1024 entries
// that are found by the page's number.
//
//   0 u64 tag: the page's virtual address; all ones in an empty entry
//   8 u32 what to add to an address to find it in this memory; of a fetch, its decoded page
//  12 u32 level of the mapping
//
// An entry for writing exists only while its page is marked in the current dirty map, and no entry
// exists for a page that is missing: so neither is looked at where an entry is found.
import { hart, SUPERVISOR, USER } from '../context';
import {
  FETCH_TLB, MSTATUS, PRIVILEGE, READ_TLB, TLB_TOUCHED, WRITE_TLB,
} from '../hart-layout';

// Modes of access.
export const MODE_USER: u32 = 0;
export const MODE_SUPERVISOR: u32 = 1;
// Supervisor that may also reach pages of users.
export const MODE_PERMITTED: u32 = 2;
export const MODE_MACHINE: u32 = 3;
const MODES: u32 = 4;

const ENTRIES: u32 = 1024;
const ENTRY_BYTES: u32 = 16;
const MODE_BYTES: u32 = ENTRIES * ENTRY_BYTES;
const TLB_BYTES: u32 = MODES * MODE_BYTES;
const EMPTY: u64 = 0xffffffffffffffff;

const MPRV: u64 = 1 << 17;
const SUM: u64 = 1 << 18;

// To empty a TLB costs what was used of it, in groups of entries that follow one another.
const GROUP_SHIFT: u32 = 5;
const GROUP_BYTES: u32 = ENTRY_BYTES << GROUP_SHIFT;

// Bits of the modes that have an entry of an address space.
let filledLocal: u32 = 0;
// The same of those that have an entry that is a part of a larger page, for addresses of the lower
// and of the upper half.
let largeLower: u32 = 0;
let largeUpper: u32 = 0;

@inline export function tlbOf(kind: usize, mode: u32): usize {
  return hart + kind + <usize>(mode * MODE_BYTES);
}

@inline function touchedOf(kind: usize, mode: u32): usize {
  return hart + TLB_TOUCHED + (((kind - READ_TLB) / TLB_BYTES * MODES + mode) << 2);
}

@inline export function entryOffset(address: u64): usize {
  return <usize>((<u32>address >> 8) & ((ENTRIES - 1) << 4));
}

// Of the mode in which instructions are fetched.
@inline export function fetchMode(): u32 {
  return load<u32>(hart + PRIVILEGE);
}

// Of the mode in which memory is loaded and stored.
export function dataMode(): u32 {
  let privilege = load<u32>(hart + PRIVILEGE);
  const status = load<u64>(hart + MSTATUS);
  if (privilege > SUPERVISOR && (status & MPRV) != 0) privilege = <u32>(status >> 11) & 3;
  if (privilege == USER) return MODE_USER;
  if (privilege > SUPERVISOR) return MODE_MACHINE;
  return (status & SUM) != 0 ? MODE_PERMITTED : MODE_SUPERVISOR;
}

export function fill(
  kind: usize, mode: u32, address: u64, value: u32, level: u32, isGlobal: bool,
): usize {
  const offset = entryOffset(address);
  const entry = tlbOf(kind, mode) + offset;
  const touched = touchedOf(kind, mode);
  store<u32>(touched, load<u32>(touched) | (1 << (<u32>offset / GROUP_BYTES)));
  store<u64>(entry, address & ~<u64>0xfff);
  store<u32>(entry, value, 8);
  store<u32>(entry, level, 12);
  if (!isGlobal) filledLocal |= 1 << mode;
  if (level > 0) {
    if (<i64>address < 0) largeUpper |= 1 << mode;
    else largeLower |= 1 << mode;
  }
  return entry;
}

function empty(kind: usize, mode: u32): void {
  const touched = touchedOf(kind, mode);
  for (let groups = load<u32>(touched); groups != 0; groups &= groups - 1) {
    memory.fill(tlbOf(kind, mode) + ctz(groups) * GROUP_BYTES, 0xff, GROUP_BYTES);
  }
  store<u32>(touched, 0);
}

function emptyMode(mode: u32): void {
  empty(READ_TLB, mode);
  empty(WRITE_TLB, mode);
  empty(FETCH_TLB, mode);
}

// What the memory held before is not known: nothing is taken from it.
export function resetTlbs(): void {
  memory.fill(hart + TLB_TOUCHED, 0xff, 3 * MODES * 4);
  flushTlbs();
}

export function flushTlbs(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) emptyMode(mode);
  filledLocal = 0;
  largeLower = 0;
  largeUpper = 0;
}

// All but global mappings. A mode in which only those were used keeps them: so the kernel's survive
// a change of address space.
export function flushAddressSpace(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) {
    if ((filledLocal >> mode) & 1) emptyMode(mode);
  }
  filledLocal = 0;
}

export function flushReadTlb(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) empty(READ_TLB, mode);
}

export function flushWriteTlb(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) empty(WRITE_TLB, mode);
}

export function flushFetchTlb(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) empty(FETCH_TLB, mode);
}

// The mapping of one address, in all modes.
export function flushAddress(address: u64): void {
  const large = <i64>address < 0 ? largeUpper : largeLower;
  for (let mode: u32 = 0; mode < MODES; mode++) {
    const isLarge = ((large >> mode) & 1) != 0;
    flushEntries(READ_TLB, mode, address, isLarge);
    flushEntries(WRITE_TLB, mode, address, isLarge);
    flushEntries(FETCH_TLB, mode, address, isLarge);
  }
}

// Where the address may lie in a larger page, that page's parts have entries of their own.
function flushEntries(kind: usize, mode: u32, address: u64, isLarge: bool): void {
  const tlb = tlbOf(kind, mode);
  const entry = tlb + entryOffset(address);
  if (load<u64>(entry) == (address & ~<u64>0xfff)) store<u64>(entry, EMPTY);
  if (!isLarge) return;
  for (let groups = load<u32>(touchedOf(kind, mode)); groups != 0; groups &= groups - 1) {
    const first = tlb + ctz(groups) * GROUP_BYTES;
    for (let at = first; at < first + GROUP_BYTES; at += ENTRY_BYTES) {
      const shift = <u64>(12 + 9 * load<u32>(at, 12));
      const tag = load<u64>(at);
      if (tag != EMPTY && (tag ^ address) >> shift == 0) store<u64>(at, EMPTY);
    }
  }
}

// Fetches that lead to one decoded page.
export function dropFetches(decoded: usize): void {
  const end = hart + FETCH_TLB + TLB_BYTES;
  for (let entry = hart + FETCH_TLB; entry < end; entry += ENTRY_BYTES) {
    if (load<u32>(entry, 8) == <u32>decoded) store<u64>(entry, EMPTY);
  }
}

// Entries for writing to one page, given where it is in this memory.
export function dropWrites(page: usize): void {
  const end = hart + WRITE_TLB + TLB_BYTES;
  for (let entry = hart + WRITE_TLB; entry < end; entry += ENTRY_BYTES) {
    const tag = load<u64>(entry);
    if (tag != EMPTY && <u32>tag + load<u32>(entry, 8) == <u32>page) store<u64>(entry, EMPTY);
  }
}
