// Between registers and memory: the look into the TLB, and what follows when it knows nothing.
import { DONE, NEXT, SYNCHRONISE } from '../context';
import { FLW, LB, LBU, LH, LHU, LW, LWU } from '../decode/opcodes';
import { loaded, loadSlow, storeSlow } from '../memory/memory-access';

const BOX: u64 = 0xffffffff00000000;

// What the tag of an entry must be: an address that is misaligned matches none.
@inline export function tagFor(address: u64, bytes: u64): u64 {
  return address & (~<u64>0xfff | (bytes - 1));
}

@inline export function placeOf(entry: usize, address: u64): usize {
  return <usize>(<u32>address + load<u32>(entry, 8));
}

// Loads to the register at `rd`. NEXT, TRAP, INTERRUPTED or SYNCHRONISE.
export function loadRegister(operation: u32, address: u64, rd: usize): u32 {
  const event = loadSlow(address, bytesOf(operation));
  if (event == DONE || event == SYNCHRONISE) store<u64>(rd, extend(operation, loaded));
  return event == DONE ? NEXT : event;
}

export function storeRegister(address: u64, bytes: u32, value: u64): u32 {
  const event = storeSlow(address, bytes, value);
  return event == DONE ? NEXT : event;
}

function bytesOf(operation: u32): u32 {
  switch (operation) {
    case LB:
    case LBU: return 1;
    case LH:
    case LHU: return 2;
    case LW:
    case LWU:
    case FLW: return 4;
    default: return 8;
  }
}

function extend(operation: u32, value: u64): u64 {
  switch (operation) {
    case LB: return <u64><i64><i8>value;
    case LH: return <u64><i64><i16>value;
    case LW: return <u64><i64><i32>value;
    case FLW: return BOX | value;
    default: return value;
  }
}
