// A slot is a decoded instruction: 8 bytes for each halfword of code.
//
//   0-7 operation   8-9 halfwords   10-15 rd   16-23 rs1 * 8   24-31 rs2 * 8   32-63 immediate
//
// An rd of 32 is the sink for results that are meant for x0.
import { FAR, ILLEGAL, JAL, JAL_FAR } from './opcodes';

const SINK: u32 = 32;

@inline export function slot(
  op: u32, rd: u32, rs1: u32, rs2: u32, immediate: i32, halfwords: u32,
): u64 {
  const low = op | (halfwords << 8) | (rd << 10) | (rs1 << 19) | (rs2 << 27);
  return <u64>low | (<u64><u32>immediate << 32);
}

// Of an instruction whose result goes to an integer register.
@inline export function integerSlot(
  op: u32, rd: u32, rs1: u32, rs2: u32, immediate: i32, halfwords: u32,
): u64 {
  return slot(op, rd == 0 ? SINK : rd, rs1, rs2, immediate, halfwords);
}

@inline export function illegalSlot(instruction: u32, halfwords: u32): u64 {
  return slot(ILLEGAL, 0, 0, 0, instruction, halfwords);
}

// `index` is the halfword of the page at which the instruction begins; a target in the page is
// near, which needs no look at the TLB.
@inline function isNear(index: i32, offset: i32): bool {
  return <u32>(index + (offset >> 1)) < 2048;
}

export function branchSlot(
  op: u32, rs1: u32, rs2: u32, offset: i32, halfwords: u32, index: i32,
): u64 {
  return isNear(index, offset)
    ? slot(op, 0, rs1, rs2, offset << 2, halfwords)
    : slot(op + FAR, 0, rs1, rs2, offset, halfwords);
}

export function jumpSlot(rd: u32, offset: i32, halfwords: u32, index: i32): u64 {
  return isNear(index, offset)
    ? integerSlot(JAL, rd, 0, 0, offset << 2, halfwords)
    : integerSlot(JAL_FAR, rd, 0, 0, offset, halfwords);
}
