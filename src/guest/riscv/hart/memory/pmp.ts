// Physical memory protection: 16 entries with a grain of 4 KiB, so that a page is permitted as a
// whole, and looked at when an entry of a TLB is made, never later.
import { FETCH, hart, LOAD } from '../context';
import { PMPADDR, PMPCFG } from '../hart-layout';
import { MODE_MACHINE } from './tlb';

const ENTRIES: u32 = 16;
const READ: u32 = 1;
const WRITE: u32 = 2;
const EXECUTE: u32 = 4;
const LOCKED: u32 = 0x80;
const OFF: u32 = 0;
const TOP_OF_RANGE: u32 = 1;
const FOUR_BYTES: u32 = 2;
const POWER_OF_TWO: u32 = 3;
const ADDRESS_MASK: u64 = 0x003fffffffffffff;
// Of an address register, whose unit is 4 bytes: the bits below the grain.
const GRAIN_MASK: u64 = 0x3ff;

// Entries up to the last one that is not off. Derived: `resetPmp` finds it again.
let active: u32 = 0;

@inline function configuration(entry: u32): u32 {
  return load<u8>(hart + PMPCFG + entry);
}

@inline function matching(config: u32): u32 {
  return (config >> 3) & 3;
}

@inline function addressOf(entry: u32): u64 {
  return load<u64>(hart + PMPADDR + (entry << 3));
}

export function resetPmp(): void {
  active = 0;
  for (let entry: u32 = 0; entry < ENTRIES; entry++) {
    if (matching(configuration(entry)) != OFF) active = entry + 1;
  }
}

// Whether an access to a physical address is permitted. Machine mode is bound by locked entries
// only.
export function pmpPermits(address: u64, access: u32, mode: u32): bool {
  const word = address >> 2;
  for (let entry: u32 = 0; entry < active; entry++) {
    const config = configuration(entry);
    if (!matches(entry, matching(config), word)) continue;
    if (mode == MODE_MACHINE && (config & LOCKED) == 0) return true;
    const needed = access == FETCH ? EXECUTE : access == LOAD ? READ : WRITE;
    return (config & needed) != 0;
  }
  return mode == MODE_MACHINE;
}

function matches(entry: u32, kind: u32, word: u64): bool {
  if (kind == OFF) return false;
  if (kind == TOP_OF_RANGE) {
    const from = entry == 0 ? 0 : addressOf(entry - 1) & ~GRAIN_MASK;
    return word >= from && word < (addressOf(entry) & ~GRAIN_MASK);
  }
  // The ones at the end tell the size.
  const bits = addressOf(entry) | (GRAIN_MASK >> 1);
  const inside = bits ^ (bits + 1);
  return (word | inside) == (bits | inside);
}

export function readPmpAddress(entry: u32): u64 {
  const address = addressOf(entry);
  return matching(configuration(entry)) >= FOUR_BYTES
    ? address | (GRAIN_MASK >> 1)
    : address & ~GRAIN_MASK;
}

export function writePmpAddress(entry: u32, value: u64): void {
  if ((configuration(entry) & LOCKED) != 0) return;
  if (entry + 1 < ENTRIES) {
    // The next range begins here.
    const next = configuration(entry + 1);
    if ((next & LOCKED) != 0 && matching(next) == TOP_OF_RANGE) return;
  }
  store<u64>(hart + PMPADDR + (entry << 3), value & ADDRESS_MASK);
}

// Eight entries at a time, from an even number of register on.
export function readPmpConfiguration(register: u32): u64 {
  return load<u64>(hart + PMPCFG + (register << 2));
}

export function writePmpConfiguration(register: u32, value: u64): void {
  for (let index: u32 = 0; index < 8; index++) {
    const entry = (register << 2) + index;
    if ((configuration(entry) & LOCKED) != 0) continue;
    let config = <u32>(value >> (index << 3)) & 0x9f;
    // To write without reading is reserved, and the grain leaves no region of four bytes.
    if ((config & READ) == 0) config &= ~WRITE;
    if (matching(config) == FOUR_BYTES) config |= POWER_OF_TWO << 3;
    store<u8>(hart + PMPCFG + entry, config);
  }
  resetPmp();
}
