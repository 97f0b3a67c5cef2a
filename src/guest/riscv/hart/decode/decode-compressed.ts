// Instructions of 16 bits to slots: each stands for one of 32 bits, so that the interpreter knows
// only those. Names of fields are those of the C extension.
import {
  ADD, ADDI, ADDIW, ADDW, AND, ANDI, BEQ, BNE, FLD, FSD, JALR, LD, LI, LW, NOP, OR, SD, SLLI, SRAI,
  SRLI, SUB, SUBW, SW, SYSTEM, XOR,
} from './opcodes';
import { branchSlot, illegalSlot, integerSlot, jumpSlot, slot } from './slot';

const EBREAK: i32 = 0x00100073;
const RA: u32 = 1;
const SP: u32 = 2;

// `index` is the halfword of its page at which the instruction begins.
export function decodeCompressed(half: u32, index: i32): u64 {
  switch (half & 3) {
    case 0: return quadrant0(half);
    case 1: return quadrant1(half, index);
    default: return quadrant2(half);
  }
}

// Registers 8 to 15, named by three bits.
@inline function shortRegister(half: u32, bit: u32): u32 {
  return ((half >> bit) & 7) + 8;
}

// The immediate that is spread over bits 12 and 6 to 2, sign-extended.
@inline function immediate6(half: u32): i32 {
  return (<i32>(((half >> 7) & 32) | ((half >> 2) & 31)) << 26) >> 26;
}

function quadrant0(half: u32): u64 {
  const rd = shortRegister(half, 2);
  const rs1 = shortRegister(half, 7);
  const offset8 = ((half >> 7) & 0x38) | ((half << 1) & 0xc0);
  const offset4 = ((half >> 7) & 0x38) | ((half >> 4) & 4) | ((half << 1) & 0x40);
  switch (half >> 13) {
    case 0: {
      const size = ((half >> 7) & 0x30) | ((half >> 1) & 0x3c0) | ((half >> 4) & 4) |
        ((half >> 2) & 8);
      // All zeros is an instruction that is illegal for ever.
      if (size == 0) break;
      return integerSlot(ADDI, rd, SP, 0, size, 1);
    }
    case 1: return slot(FLD, rd, rs1, 0, offset8, 1);
    case 2: return integerSlot(LW, rd, rs1, 0, offset4, 1);
    case 3: return integerSlot(LD, rd, rs1, 0, offset8, 1);
    case 5: return slot(FSD, 0, rs1, rd, offset8, 1);
    case 6: return slot(SW, 0, rs1, rd, offset4, 1);
    case 7: return slot(SD, 0, rs1, rd, offset8, 1);
  }
  return illegalSlot(half, 1);
}

function quadrant1(half: u32, index: i32): u64 {
  const rd = (half >> 7) & 31;
  const immediate = immediate6(half);
  switch (half >> 13) {
    case 0:
      return rd == 0 ? slot(NOP, 0, 0, 0, 0, 1) : integerSlot(ADDI, rd, rd, 0, immediate, 1);
    case 1:
      if (rd == 0) break;
      return integerSlot(ADDIW, rd, rd, 0, immediate, 1);
    case 2: return integerSlot(LI, rd, 0, 0, immediate, 1);
    case 3:
      if (rd == SP) {
        const size = stackStep(half);
        if (size == 0) break;
        return integerSlot(ADDI, SP, SP, 0, size, 1);
      }
      if (immediate == 0) break;
      return integerSlot(LI, rd, 0, 0, immediate << 12, 1);
    case 4: return arithmeticSlot(half);
    case 5: return jumpSlot(0, jumpOffset(half), 1, index);
    case 6: return branchSlot(BEQ, shortRegister(half, 7), 0, branchOffset(half), 1, index);
    case 7: return branchSlot(BNE, shortRegister(half, 7), 0, branchOffset(half), 1, index);
  }
  return illegalSlot(half, 1);
}

function arithmeticSlot(half: u32): u64 {
  const rd = shortRegister(half, 7);
  const rs2 = shortRegister(half, 2);
  const immediate = immediate6(half);
  switch ((half >> 10) & 3) {
    case 0: return integerSlot(SRLI, rd, rd, 0, immediate & 63, 1);
    case 1: return integerSlot(SRAI, rd, rd, 0, immediate & 63, 1);
    case 2: return integerSlot(ANDI, rd, rd, 0, immediate, 1);
  }
  switch (((half >> 5) & 3) | ((half >> 10) & 4)) {
    case 0: return integerSlot(SUB, rd, rd, rs2, 0, 1);
    case 1: return integerSlot(XOR, rd, rd, rs2, 0, 1);
    case 2: return integerSlot(OR, rd, rd, rs2, 0, 1);
    case 3: return integerSlot(AND, rd, rd, rs2, 0, 1);
    case 4: return integerSlot(SUBW, rd, rd, rs2, 0, 1);
    case 5: return integerSlot(ADDW, rd, rd, rs2, 0, 1);
  }
  return illegalSlot(half, 1);
}

function stackStep(half: u32): i32 {
  const bits = ((half >> 3) & 0x200) | ((half >> 2) & 0x10) | ((half << 1) & 0x40) |
    ((half << 4) & 0x180) | ((half << 3) & 0x20);
  return (<i32>bits << 22) >> 22;
}

function jumpOffset(half: u32): i32 {
  const bits = ((half >> 1) & 0x800) | ((half >> 7) & 0x10) | ((half >> 1) & 0x300) |
    ((half << 2) & 0x400) | ((half >> 1) & 0x40) | ((half << 1) & 0x80) | ((half >> 2) & 0xe) |
    ((half << 3) & 0x20);
  return (<i32>bits << 20) >> 20;
}

function branchOffset(half: u32): i32 {
  const bits = ((half >> 4) & 0x100) | ((half >> 7) & 0x18) | ((half << 1) & 0xc0) |
    ((half >> 2) & 6) | ((half << 3) & 0x20);
  return (<i32>bits << 23) >> 23;
}

function quadrant2(half: u32): u64 {
  const rd = (half >> 7) & 31;
  const rs2 = (half >> 2) & 31;
  const load8 = ((half >> 7) & 0x20) | ((half >> 2) & 0x18) | ((half << 4) & 0x1c0);
  const load4 = ((half >> 7) & 0x20) | ((half >> 2) & 0x1c) | ((half << 4) & 0xc0);
  const store8 = ((half >> 7) & 0x38) | ((half >> 1) & 0x1c0);
  const store4 = ((half >> 7) & 0x3c) | ((half >> 1) & 0xc0);
  switch (half >> 13) {
    case 0: return integerSlot(SLLI, rd, rd, 0, immediate6(half) & 63, 1);
    case 1: return slot(FLD, rd, SP, 0, load8, 1);
    case 2:
      if (rd == 0) break;
      return integerSlot(LW, rd, SP, 0, load4, 1);
    case 3:
      if (rd == 0) break;
      return integerSlot(LD, rd, SP, 0, load8, 1);
    case 4: return jumpOrMoveSlot(half, rd, rs2);
    case 5: return slot(FSD, 0, SP, rs2, store8, 1);
    case 6: return slot(SW, 0, SP, rs2, store4, 1);
    case 7: return slot(SD, 0, SP, rs2, store8, 1);
  }
  return illegalSlot(half, 1);
}

function jumpOrMoveSlot(half: u32, rd: u32, rs2: u32): u64 {
  const isLinkOrAdd = (half & 0x1000) != 0;
  if (rs2 != 0) return integerSlot(ADD, rd, isLinkOrAdd ? rd : 0, rs2, 0, 1);
  if (rd != 0) return integerSlot(JALR, isLinkOrAdd ? RA : 0, rd, 0, 0, 1);
  return isLinkOrAdd ? slot(SYSTEM, 0, 0, 0, EBREAK, 1) : illegalSlot(half, 1);
}
