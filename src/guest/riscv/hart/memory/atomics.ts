// LR, SC and the AMOs, by atomic operations of the shared memory, so that harts in other threads
// see each of them whole.
import {
  accessFault, CAUSE_LOAD_MISALIGNED, CAUSE_STORE_MISALIGNED, DONE, hart, LOAD, raise, ram, RAM_BASE,
  STORE,
} from '../context';
import {
  READ_TLB, RESERVATION_ADDRESS, RESERVATION_BYTES, RESERVATION_VALUE, WRITE_TLB, X_REGISTERS,
} from '../hart-layout';
import { place, resolve } from './memory-access';
import { dataMode, entryOffset, tlbOf } from './tlb';

@inline function register(index: u32): u64 {
  return load<u64>(hart + X_REGISTERS + (index << 3));
}

@inline function setRegister(index: u32, value: u64): void {
  if (index != 0) store<u64>(hart + X_REGISTERS + (index << 3), value);
}

export function dropReservation(): void {
  store<u32>(hart + RESERVATION_BYTES, 0);
  store<u64>(hart + RESERVATION_ADDRESS, 0);
  store<u64>(hart + RESERVATION_VALUE, 0);
}

// DONE with the place of an aligned access, TRAP or INTERRUPTED.
let found: usize = 0;
function find(address: u64, bytes: u32, access: u32): u32 {
  if (((<u32>address) & (bytes - 1)) != 0) {
    return raise(access == LOAD ? CAUSE_LOAD_MISALIGNED : CAUSE_STORE_MISALIGNED, address);
  }
  const entry = tlbOf(access == LOAD ? READ_TLB : WRITE_TLB, dataMode()) + entryOffset(address);
  if (load<u64>(entry) == (address & ~<u64>0xfff)) {
    found = <u32>address + load<u32>(entry, 8);
    return DONE;
  }
  const event = resolve(address, access);
  if (event != DONE) return event;
  // Devices have no atomic access.
  if (place == 0) return raise(accessFault(access), address);
  found = place;
  return DONE;
}

export function executeAtomic(instruction: u32): u32 {
  const bytes: u32 = ((instruction >> 12) & 7) == 2 ? 4 : 8;
  const address = register((instruction >> 15) & 31);
  const operation = instruction >> 27;
  const rd = (instruction >> 7) & 31;
  const event = find(address, bytes, operation == 2 ? LOAD : STORE);
  if (event != DONE) return event;
  if (operation == 2) {
    loadReserved(bytes, rd);
    return DONE;
  }
  const operand = register((instruction >> 20) & 31);
  if (operation == 3) setRegister(rd, storeConditional(bytes, operand) ? 0 : 1);
  else if (bytes == 4) setRegister(rd, <u64><i64><i32>modify32(operation, <u32>operand));
  else setRegister(rd, modify64(operation, operand));
  return DONE;
}

@inline function guestAddress(at: usize): u64 {
  return <u64>(at - ram) + RAM_BASE;
}

function loadReserved(bytes: u32, rd: u32): void {
  const value = bytes == 4 ? <u64>atomic.load<u32>(found) : atomic.load<u64>(found);
  store<u32>(hart + RESERVATION_BYTES, bytes);
  store<u64>(hart + RESERVATION_ADDRESS, guestAddress(found));
  store<u64>(hart + RESERVATION_VALUE, value);
  setRegister(rd, bytes == 4 ? <u64><i64><i32>value : value);
}

// A store between LR and SC that leaves the value as it was is not noticed; the program could not
// tell it from one before LR.
function storeConditional(bytes: u32, operand: u64): bool {
  const isReserved = load<u32>(hart + RESERVATION_BYTES) == bytes &&
    load<u64>(hart + RESERVATION_ADDRESS) == guestAddress(found);
  const value = load<u64>(hart + RESERVATION_VALUE);
  dropReservation();
  if (!isReserved) return false;
  if (bytes == 8) return atomic.cmpxchg<u64>(found, value, operand) == value;
  return atomic.cmpxchg<u32>(found, <u32>value, <u32>operand) == <u32>value;
}

function modify32(operation: u32, operand: u32): u32 {
  switch (operation) {
    case 0: return atomic.add<u32>(found, operand);
    case 1: return atomic.xchg<u32>(found, operand);
    case 4: return atomic.xor<u32>(found, operand);
    case 8: return atomic.or<u32>(found, operand);
    case 12: return atomic.and<u32>(found, operand);
  }
  let old: u32;
  let next: u32;
  do {
    old = atomic.load<u32>(found);
    let isOperand: bool;
    if (operation == 16) isOperand = <i32>operand < <i32>old;
    else if (operation == 20) isOperand = <i32>operand > <i32>old;
    else if (operation == 24) isOperand = operand < old;
    else isOperand = operand > old;
    next = isOperand ? operand : old;
  } while (atomic.cmpxchg<u32>(found, old, next) != old);
  return old;
}

function modify64(operation: u32, operand: u64): u64 {
  switch (operation) {
    case 0: return atomic.add<u64>(found, operand);
    case 1: return atomic.xchg<u64>(found, operand);
    case 4: return atomic.xor<u64>(found, operand);
    case 8: return atomic.or<u64>(found, operand);
    case 12: return atomic.and<u64>(found, operand);
  }
  let old: u64;
  let next: u64;
  do {
    old = atomic.load<u64>(found);
    let isOperand: bool;
    if (operation == 16) isOperand = <i64>operand < <i64>old;
    else if (operation == 20) isOperand = <i64>operand > <i64>old;
    else if (operation == 24) isOperand = operand < old;
    else isOperand = operand > old;
    next = isOperand ? operand : old;
  } while (atomic.cmpxchg<u64>(found, old, next) != old);
  return old;
}
