// Loads and stores of floating-point registers. Registers are given by the places of the integer
// registers of the same number.
import { FLOAT_OFF, NEXT, SYNCHRONISE } from '../context';
import { FLW } from '../decode/opcodes';
import { F_REGISTERS } from '../hart-layout';
import { entryOffset } from '../memory/tlb';
import { isFloatOn, markFloatDirty } from './float-instructions';
import { loadRegister, placeOf, storeRegister, tagFor } from './register-memory';

const BOX: u64 = 0xffffffff00000000;

export function loadFloat(operation: u32, address: u64, readTlb: usize, rd: usize): u32 {
  if (!isFloatOn()) return FLOAT_OFF;
  const entry = readTlb + entryOffset(address);
  if (load<u64>(entry) == tagFor(address, operation == FLW ? 4 : 8)) {
    const place = placeOf(entry, address);
    store<u64>(rd, operation == FLW ? BOX | <u64>load<u32>(place) : load<u64>(place), F_REGISTERS);
    markFloatDirty();
    return NEXT;
  }
  const event = loadRegister(operation, address, rd + F_REGISTERS);
  if (event == NEXT || event == SYNCHRONISE) markFloatDirty();
  return event;
}

export function storeFloat(address: u64, bytes: u32, writeTlb: usize, rs2: usize): u32 {
  if (!isFloatOn()) return FLOAT_OFF;
  const value = load<u64>(rs2, F_REGISTERS);
  const entry = writeTlb + entryOffset(address);
  if (load<u64>(entry) != tagFor(address, bytes)) return storeRegister(address, bytes, value);
  if (bytes == 8) store<u64>(placeOf(entry, address), value);
  else store<u32>(placeOf(entry, address), <u32>value);
  return NEXT;
}
