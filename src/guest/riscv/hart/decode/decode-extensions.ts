// Slots of A, F and D. These keep the instruction as their immediate and are taken apart when they
// are executed, but for loads, stores and the arithmetic of doubles that programs do most.
import {
  ATOMIC, FADD_D, FLD, FLOAT, FLW, FMADD_D, FMUL_D, FSD, FSUB_D, FSW,
} from './opcodes';
import { illegalSlot, slot } from './slot';

export function atomicSlot(instruction: u32): u64 {
  const width = (instruction >> 12) & 7;
  if (width != 2 && width != 3) return illegalSlot(instruction, 2);
  switch (instruction >> 27) {
    case 2:
      // LR has no second operand.
      if (((instruction >> 20) & 31) != 0) break;
      return slot(ATOMIC, 0, 0, 0, instruction, 2);
    case 0:
    case 1:
    case 3:
    case 4:
    case 8:
    case 12:
    case 16:
    case 20:
    case 24:
    case 28: return slot(ATOMIC, 0, 0, 0, instruction, 2);
  }
  return illegalSlot(instruction, 2);
}

export function floatLoadSlot(instruction: u32): u64 {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const offset = <i32>instruction >> 20;
  switch ((instruction >> 12) & 7) {
    case 2: return slot(FLW, rd, rs1, 0, offset, 2);
    case 3: return slot(FLD, rd, rs1, 0, offset, 2);
  }
  return illegalSlot(instruction, 2);
}

export function floatStoreSlot(instruction: u32, offset: i32): u64 {
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  switch ((instruction >> 12) & 7) {
    case 2: return slot(FSW, 0, rs1, rs2, offset, 2);
    case 3: return slot(FSD, 0, rs1, rs2, offset, 2);
  }
  return illegalSlot(instruction, 2);
}

export function floatSlot(instruction: u32): u64 {
  if (!isFloatLegal(instruction)) return illegalSlot(instruction, 2);
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const rounding = (instruction >> 12) & 7;
  const opcode = instruction & 0x7f;
  const funct7 = instruction >> 25;
  if (opcode == 0x43 && (funct7 & 3) == 1) {
    return slot(FMADD_D, rd, rs1, rs2, rounding | ((instruction >> 27) << 3), 2);
  }
  if (opcode == 0x53) {
    if (funct7 == 0x01) return slot(FADD_D, rd, rs1, rs2, rounding, 2);
    if (funct7 == 0x05) return slot(FSUB_D, rd, rs1, rs2, rounding, 2);
    if (funct7 == 0x09) return slot(FMUL_D, rd, rs1, rs2, rounding, 2);
  }
  return slot(FLOAT, 0, 0, 0, instruction, 2);
}

// A dynamic rounding mode (7) may still be illegal when it is used.
@inline function isRounding(mode: u32): bool {
  return mode != 5 && mode != 6;
}

function isFloatLegal(instruction: u32): bool {
  const funct3 = (instruction >> 12) & 7;
  const rs2 = (instruction >> 20) & 31;
  const format = (instruction >> 25) & 3;
  if (format > 1) return false;
  if ((instruction & 0x7f) != 0x53) return isRounding(funct3);
  switch (instruction >> 27) {
    // Add, subtract, multiply, divide.
    case 0x00:
    case 0x01:
    case 0x02:
    case 0x03: return isRounding(funct3);
    case 0x0b: return rs2 == 0 && isRounding(funct3);
    // Sign injection, minimum and maximum, comparison.
    case 0x04: return funct3 < 3;
    case 0x05: return funct3 < 2;
    case 0x14: return funct3 < 3;
    // Between the formats: the source is the other one.
    case 0x08: return rs2 == 1 - format && isRounding(funct3);
    // To and from integers.
    case 0x18:
    case 0x1a: return rs2 < 4 && isRounding(funct3);
    // Moves to integer registers and classification; moves from them.
    case 0x1c: return rs2 == 0 && funct3 < 2;
    case 0x1e: return rs2 == 0 && funct3 == 0;
  }
  return false;
}
