/** Encodings of RISC-V instructions by format, and the few by name that the tests use most. */

export function rType(
  opcode: number,
  funct3: number,
  funct7: number,
  rd: number,
  rs1: number,
  rs2: number,
): number {
  return (opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | (funct7 << 25)) >>> 0;
}

export function iType(
  opcode: number,
  funct3: number,
  rd: number,
  rs1: number,
  immediate: number,
): number {
  return (opcode | (rd << 7) | (funct3 << 12) | (rs1 << 15) | ((immediate & 0xfff) << 20)) >>> 0;
}

export function sType(
  opcode: number,
  funct3: number,
  rs1: number,
  rs2: number,
  immediate: number,
): number {
  const low = (immediate & 31) << 7;
  const high = ((immediate >> 5) & 127) << 25;
  return (opcode | low | (funct3 << 12) | (rs1 << 15) | (rs2 << 20) | high) >>> 0;
}

export function bType(funct3: number, rs1: number, rs2: number, offset: number): number {
  const bits =
    (((offset >> 12) & 1) << 31) |
    (((offset >> 5) & 63) << 25) |
    (((offset >> 1) & 15) << 8) |
    (((offset >> 11) & 1) << 7);
  return (0x63 | bits | (funct3 << 12) | (rs1 << 15) | (rs2 << 20)) >>> 0;
}

export function uType(opcode: number, rd: number, immediate: number): number {
  return (opcode | (rd << 7) | (immediate << 12)) >>> 0;
}

export function jal(rd: number, offset: number): number {
  const bits =
    (((offset >> 20) & 1) << 31) |
    (((offset >> 1) & 0x3ff) << 21) |
    (((offset >> 11) & 1) << 20) |
    (((offset >> 12) & 0xff) << 12);
  return (0x6f | (rd << 7) | bits) >>> 0;
}

export const addi = (rd: number, rs1: number, value: number) => iType(0x13, 0, rd, rs1, value);
export const jalr = (rd: number, rs1: number, offset = 0) => iType(0x67, 0, rd, rs1, offset);
export const load = (funct3: number, rd: number, rs1: number, offset = 0) =>
  iType(0x03, funct3, rd, rs1, offset);
export const lw = (rd: number, rs1: number, offset = 0) => load(2, rd, rs1, offset);
export const ld = (rd: number, rs1: number, offset = 0) => load(3, rd, rs1, offset);
export const store = (funct3: number, rs2: number, rs1: number, offset = 0) =>
  sType(0x23, funct3, rs1, rs2, offset);
export const sw = (rs2: number, rs1: number, offset = 0) => store(2, rs2, rs1, offset);
export const sd = (rs2: number, rs1: number, offset = 0) => store(3, rs2, rs1, offset);
/** Opcode of AMOs; `funct5` of the operation, 8 or 4 bytes. */
export const amo = (funct5: number, rd: number, rs1: number, rs2: number, bytes = 8) =>
  rType(0x2f, bytes === 8 ? 3 : 2, funct5 << 2, rd, rs1, rs2);
export const csrrw = (rd: number, csr: number, rs1: number) => iType(0x73, 1, rd, rs1, csr);
export const csrrs = (rd: number, csr: number, rs1: number) => iType(0x73, 2, rd, rs1, csr);
export const csrrc = (rd: number, csr: number, rs1: number) => iType(0x73, 3, rd, rs1, csr);
export const csrrwi = (rd: number, csr: number, value: number) => iType(0x73, 5, rd, value, csr);
export const csrr = (rd: number, csr: number) => csrrs(rd, csr, 0);
export const sfenceVma = (rs1 = 0, rs2 = 0) => rType(0x73, 0, 9, 0, rs1, rs2);

export const NOP = 0x0000_0013;
export const ECALL = 0x0000_0073;
export const EBREAK = 0x0010_0073;
export const SRET = 0x1020_0073;
export const MRET = 0x3020_0073;
export const WFI = 0x1050_0073;
export const FENCE_I = 0x0000_100f;
export const C_NOP = 0x0001;
