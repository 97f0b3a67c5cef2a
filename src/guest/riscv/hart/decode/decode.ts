// Instructions of 32 bits to slots. What is not an instruction of RV64IMAFD, Zicsr or Zifencei
// becomes ILLEGAL here, so that nothing behind the decoder looks for malformed encodings; but
// SYSTEM, whose legality depends on the state, is looked at when it is executed.
import { atomicSlot, floatLoadSlot, floatSlot, floatStoreSlot } from './decode-extensions';
import {
  ADD, ADDI, ADDIW, ADDW, AND, ANDI, AUIPC, BEQ, BLT, DIVW, FENCE, FENCE_I, JALR, LB, LI, MUL, MULW,
  NOP, OR, ORI, SB, SLL, SLLI, SLLIW, SLLW, SLT, SLTI, SLTIU, SLTU, SRA, SRAI, SRAIW, SRAW, SRL,
  SRLI, SRLIW, SRLW, SUB, SUBW, SYSTEM, XOR, XORI,
} from './opcodes';
import { branchSlot, illegalSlot, integerSlot, jumpSlot, slot } from './slot';

// `index` is the halfword of its page at which the instruction begins.
export function decode(instruction: u32, index: i32): u64 {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const funct3 = (instruction >> 12) & 7;
  const immediate = <i32>instruction >> 20;
  switch (instruction & 0x7f) {
    case 0x03:
      if (funct3 == 7) break;
      return integerSlot(LB + funct3, rd, rs1, 0, immediate, 2);
    case 0x07: return floatLoadSlot(instruction);
    case 0x0f:
      if (funct3 == 0) return slot(FENCE, 0, 0, 0, 0, 2);
      if (funct3 == 1) return slot(FENCE_I, 0, 0, 0, 0, 2);
      break;
    case 0x13: return immediateSlot(instruction);
    case 0x17: return integerSlot(AUIPC, rd, 0, 0, instruction & 0xfffff000, 2);
    case 0x1b: return immediateWordSlot(instruction);
    case 0x23:
      if (funct3 > 3) break;
      return slot(SB + funct3, 0, rs1, rs2, storeOffset(instruction), 2);
    case 0x27: return floatStoreSlot(instruction, storeOffset(instruction));
    case 0x2f: return atomicSlot(instruction);
    case 0x33: return registerSlot(instruction);
    case 0x37: return integerSlot(LI, rd, 0, 0, instruction & 0xfffff000, 2);
    case 0x3b: return registerWordSlot(instruction);
    case 0x43:
    case 0x47:
    case 0x4b:
    case 0x4f:
    case 0x53: return floatSlot(instruction);
    case 0x63: {
      if (funct3 == 2 || funct3 == 3) break;
      const op = funct3 < 2 ? BEQ + funct3 : BLT + funct3 - 4;
      return branchSlot(op, rs1, rs2, branchOffset(instruction), 2, index);
    }
    case 0x67:
      if (funct3 != 0) break;
      return integerSlot(JALR, rd, rs1, 0, immediate, 2);
    case 0x6f: return jumpSlot(rd, jumpOffset(instruction), 2, index);
    case 0x73: return slot(SYSTEM, 0, 0, 0, instruction, 2);
  }
  return illegalSlot(instruction, 2);
}

function storeOffset(instruction: u32): i32 {
  return ((<i32>instruction >> 25) << 5) | <i32>((instruction >> 7) & 31);
}

function branchOffset(instruction: u32): i32 {
  return ((<i32>instruction >> 31) << 12) | <i32>((instruction << 4) & 0x800) |
    <i32>((instruction >> 20) & 0x7e0) | <i32>((instruction >> 7) & 0x1e);
}

function jumpOffset(instruction: u32): i32 {
  return ((<i32>instruction >> 31) << 20) | <i32>(instruction & 0xff000) |
    <i32>((instruction >> 9) & 0x800) | <i32>((instruction >> 20) & 0x7fe);
}

function immediateSlot(instruction: u32): u64 {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const immediate = <i32>instruction >> 20;
  const shift = immediate & 63;
  const funct6 = instruction >> 26;
  switch ((instruction >> 12) & 7) {
    case 0:
      // Rd 0 is the usual no-operation.
      if (rd == 0) return slot(NOP, 0, 0, 0, 0, 2);
      return rs1 == 0
        ? integerSlot(LI, rd, 0, 0, immediate, 2)
        : integerSlot(ADDI, rd, rs1, 0, immediate, 2);
    case 1:
      if (funct6 != 0) break;
      return integerSlot(SLLI, rd, rs1, 0, shift, 2);
    case 2: return integerSlot(SLTI, rd, rs1, 0, immediate, 2);
    case 3: return integerSlot(SLTIU, rd, rs1, 0, immediate, 2);
    case 4: return integerSlot(XORI, rd, rs1, 0, immediate, 2);
    case 5:
      if (funct6 == 0) return integerSlot(SRLI, rd, rs1, 0, shift, 2);
      if (funct6 == 16) return integerSlot(SRAI, rd, rs1, 0, shift, 2);
      break;
    case 6: return integerSlot(ORI, rd, rs1, 0, immediate, 2);
    case 7: return integerSlot(ANDI, rd, rs1, 0, immediate, 2);
  }
  return illegalSlot(instruction, 2);
}

function immediateWordSlot(instruction: u32): u64 {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const immediate = <i32>instruction >> 20;
  const shift = immediate & 31;
  const funct7 = instruction >> 25;
  switch ((instruction >> 12) & 7) {
    case 0: return integerSlot(ADDIW, rd, rs1, 0, immediate, 2);
    case 1:
      if (funct7 != 0) break;
      return integerSlot(SLLIW, rd, rs1, 0, shift, 2);
    case 5:
      if (funct7 == 0) return integerSlot(SRLIW, rd, rs1, 0, shift, 2);
      if (funct7 == 32) return integerSlot(SRAIW, rd, rs1, 0, shift, 2);
      break;
  }
  return illegalSlot(instruction, 2);
}

function registerSlot(instruction: u32): u64 {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const funct3 = (instruction >> 12) & 7;
  const funct7 = instruction >> 25;
  if (funct7 == 1) return integerSlot(MUL + funct3, rd, rs1, rs2, 0, 2);
  if (funct7 == 32 && funct3 == 0) return integerSlot(SUB, rd, rs1, rs2, 0, 2);
  if (funct7 == 32 && funct3 == 5) return integerSlot(SRA, rd, rs1, rs2, 0, 2);
  if (funct7 != 0) return illegalSlot(instruction, 2);
  switch (funct3) {
    case 0: return integerSlot(ADD, rd, rs1, rs2, 0, 2);
    case 1: return integerSlot(SLL, rd, rs1, rs2, 0, 2);
    case 2: return integerSlot(SLT, rd, rs1, rs2, 0, 2);
    case 3: return integerSlot(SLTU, rd, rs1, rs2, 0, 2);
    case 4: return integerSlot(XOR, rd, rs1, rs2, 0, 2);
    case 5: return integerSlot(SRL, rd, rs1, rs2, 0, 2);
    case 6: return integerSlot(OR, rd, rs1, rs2, 0, 2);
    default: return integerSlot(AND, rd, rs1, rs2, 0, 2);
  }
}

function registerWordSlot(instruction: u32): u64 {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const funct3 = (instruction >> 12) & 7;
  const funct7 = instruction >> 25;
  if (funct7 == 1) {
    if (funct3 == 0) return integerSlot(MULW, rd, rs1, rs2, 0, 2);
    if (funct3 >= 4) return integerSlot(DIVW + funct3 - 4, rd, rs1, rs2, 0, 2);
  } else if (funct7 == 0) {
    if (funct3 == 0) return integerSlot(ADDW, rd, rs1, rs2, 0, 2);
    if (funct3 == 1) return integerSlot(SLLW, rd, rs1, rs2, 0, 2);
    if (funct3 == 5) return integerSlot(SRLW, rd, rs1, rs2, 0, 2);
  } else if (funct7 == 32) {
    if (funct3 == 0) return integerSlot(SUBW, rd, rs1, rs2, 0, 2);
    if (funct3 == 5) return integerSlot(SRAW, rd, rs1, rs2, 0, 2);
  }
  return illegalSlot(instruction, 2);
}
