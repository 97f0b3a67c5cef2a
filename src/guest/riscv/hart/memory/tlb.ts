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
import { FETCH_TLB, MSTATUS, PRIVILEGE, READ_TLB, WRITE_TLB } from '../hart-layout';

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

// Bits of the modes that have any entry, and of those that have one of an address space.
let filled: u32 = 0;
let filledLocal: u32 = 0;
// Whether some entry is a part of a larger page, for addresses of the lower and of the upper half.
let hasLargeLower: bool = false;
let hasLargeUpper: bool = false;

@inline export function tlbOf(kind: usize, mode: u32): usize {
  return hart + kind + <usize>(mode * MODE_BYTES);
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
  const entry = tlbOf(kind, mode) + entryOffset(address);
  store<u64>(entry, address & ~<u64>0xfff);
  store<u32>(entry, value, 8);
  store<u32>(entry, level, 12);
  filled |= 1 << mode;
  if (!isGlobal) filledLocal |= 1 << mode;
  if (level > 0) {
    if (<i64>address < 0) hasLargeUpper = true;
    else hasLargeLower = true;
  }
  return entry;
}

function emptyMode(mode: u32): void {
  memory.fill(tlbOf(READ_TLB, mode), 0xff, MODE_BYTES);
  memory.fill(tlbOf(WRITE_TLB, mode), 0xff, MODE_BYTES);
  memory.fill(tlbOf(FETCH_TLB, mode), 0xff, MODE_BYTES);
}

// What the memory held before is not known: nothing is taken from it.
export function resetTlbs(): void {
  filled = (1 << MODES) - 1;
  flushTlbs();
}

export function flushTlbs(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) {
    if ((filled >> mode) & 1) emptyMode(mode);
  }
  filled = 0;
  filledLocal = 0;
  hasLargeLower = false;
  hasLargeUpper = false;
}

// All but global mappings. A mode in which only those were used keeps them: so the kernel's survive
// a change of address space.
export function flushAddressSpace(): void {
  for (let mode: u32 = 0; mode < MODES; mode++) {
    if ((filledLocal >> mode) & 1) emptyMode(mode);
  }
  filled &= ~filledLocal;
  filledLocal = 0;
}

export function flushReadTlb(): void {
  memory.fill(hart + READ_TLB, 0xff, TLB_BYTES);
}

export function flushWriteTlb(): void {
  memory.fill(hart + WRITE_TLB, 0xff, TLB_BYTES);
}

export function flushFetchTlb(): void {
  memory.fill(hart + FETCH_TLB, 0xff, TLB_BYTES);
}

// The mapping of one address, in all modes.
export function flushAddress(address: u64): void {
  if (<i64>address < 0 ? hasLargeUpper : hasLargeLower) return flushLarge(address);
  const offset = entryOffset(address);
  for (let mode: u32 = 0; mode < MODES; mode++) {
    store<u64>(tlbOf(READ_TLB, mode) + offset, EMPTY);
    store<u64>(tlbOf(WRITE_TLB, mode) + offset, EMPTY);
    store<u64>(tlbOf(FETCH_TLB, mode) + offset, EMPTY);
  }
}

// The address may lie in a larger page, whose parts have entries of their own.
function flushLarge(address: u64): void {
  // The TLBs follow one another.
  const end = hart + READ_TLB + 3 * TLB_BYTES;
  for (let entry = hart + READ_TLB; entry < end; entry += ENTRY_BYTES) {
    const shift = <u64>(12 + 9 * load<u32>(entry, 12));
    const tag = load<u64>(entry);
    if (tag != EMPTY && (tag ^ address) >> shift == 0) store<u64>(entry, EMPTY);
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
