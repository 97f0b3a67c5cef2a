// What the decoder makes of instructions. The numbers are dense, so that the interpreter's switch
// is one table. UNDECODED must be 0: the decode cache is cleared with zeros.
export const UNDECODED: u32 = 0;
// Falls out of the page: the slots behind the last one.
export const END_OF_PAGE: u32 = 1;
// Its second half lies in the next page.
export const CROSSING: u32 = 2;
export const ILLEGAL: u32 = 3;

// Constants and jumps. The immediate of what is near is counted in bytes of slots: its target lies
// in the same page.
export const LI: u32 = 4;
export const AUIPC: u32 = 5;
export const JAL: u32 = 6;
export const JAL_FAR: u32 = 7;
export const JALR: u32 = 8;
export const BEQ: u32 = 9;
export const BNE: u32 = 10;
export const BLT: u32 = 11;
export const BGE: u32 = 12;
export const BLTU: u32 = 13;
export const BGEU: u32 = 14;
// The far twin of a branch is this much further.
export const FAR: u32 = 6;
export const BEQ_FAR: u32 = 15;
export const BNE_FAR: u32 = 16;
export const BLT_FAR: u32 = 17;
export const BGE_FAR: u32 = 18;
export const BLTU_FAR: u32 = 19;
export const BGEU_FAR: u32 = 20;

export const LB: u32 = 21;
export const LH: u32 = 22;
export const LW: u32 = 23;
export const LD: u32 = 24;
export const LBU: u32 = 25;
export const LHU: u32 = 26;
export const LWU: u32 = 27;
export const SB: u32 = 28;
export const SH: u32 = 29;
export const SW: u32 = 30;
export const SD: u32 = 31;

export const ADDI: u32 = 32;
export const SLTI: u32 = 33;
export const SLTIU: u32 = 34;
export const XORI: u32 = 35;
export const ORI: u32 = 36;
export const ANDI: u32 = 37;
export const SLLI: u32 = 38;
export const SRLI: u32 = 39;
export const SRAI: u32 = 40;
export const ADDIW: u32 = 41;
export const SLLIW: u32 = 42;
export const SRLIW: u32 = 43;
export const SRAIW: u32 = 44;

export const ADD: u32 = 45;
export const SUB: u32 = 46;
export const SLL: u32 = 47;
export const SLT: u32 = 48;
export const SLTU: u32 = 49;
export const XOR: u32 = 50;
export const SRL: u32 = 51;
export const SRA: u32 = 52;
export const OR: u32 = 53;
export const AND: u32 = 54;
export const ADDW: u32 = 55;
export const SUBW: u32 = 56;
export const SLLW: u32 = 57;
export const SRLW: u32 = 58;
export const SRAW: u32 = 59;

export const MUL: u32 = 60;
export const MULH: u32 = 61;
export const MULHSU: u32 = 62;
export const MULHU: u32 = 63;
export const DIV: u32 = 64;
export const DIVU: u32 = 65;
export const REM: u32 = 66;
export const REMU: u32 = 67;
export const MULW: u32 = 68;
export const DIVW: u32 = 69;
export const DIVUW: u32 = 70;
export const REMW: u32 = 71;
export const REMUW: u32 = 72;

export const NOP: u32 = 73;
export const FENCE_I: u32 = 74;
export const FENCE: u32 = 75;
// These have the instruction itself as their immediate.
export const SYSTEM: u32 = 76;
export const ATOMIC: u32 = 77;
export const FLOAT: u32 = 78;

export const FLW: u32 = 79;
export const FLD: u32 = 80;
export const FSW: u32 = 81;
export const FSD: u32 = 82;
// The arithmetic of doubles that programs do most; the immediate is the rounding mode, and of
// FMADD_D also the third operand.
export const FADD_D: u32 = 83;
export const FSUB_D: u32 = 84;
export const FMUL_D: u32 = 85;
export const FMADD_D: u32 = 86;
