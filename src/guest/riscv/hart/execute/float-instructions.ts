// F and D: rounding modes, NaN boxing, and what they leave in FCSR and in mstatus.FS. The decoder
// has refused malformed encodings; the arithmetic is float's.
import {
  f32_add, f32_class, f32_div, f32_eq, f32_fma, f32_from_f64, f32_from_i32, f32_from_i64,
  f32_from_u32, f32_from_u64, f32_le, f32_lt, f32_max, f32_min, f32_mul, f32_sqrt, f32_sub,
  f32_to_i32, f32_to_i64, f32_to_u32, f32_to_u64, f64_add, f64_class, f64_div, f64_eq, f64_fma,
  f64_from_f32, f64_from_i32, f64_from_i64, f64_from_u32, f64_from_u64, f64_le, f64_lt, f64_max,
  f64_min, f64_mul, f64_sqrt, f64_sub, f64_to_i32, f64_to_i64, f64_to_u32, f64_to_u64,
} from '../../float/float';
import { CAUSE_ILLEGAL, DONE, hart, raise } from '../context';
import { FADD_D, FMUL_D, FSUB_D } from '../decode/opcodes';
import { FCSR, F_REGISTERS, MSTATUS, X_REGISTERS } from '../hart-layout';

const FS: u64 = 3 << 13;
const FS_DIRTY: u64 = 0x8000000000006000;
const DYNAMIC: u32 = 7;
const ROUNDING_MAX: u32 = 4;
const BOX: u64 = 0xffffffff00000000;
const NAN_32: u32 = 0x7fc00000;
const SIGN_32: u32 = 0x80000000;
const SIGN_64: u64 = 0x8000000000000000;

const ARITHMETIC: u32 = 0x53;
const FMSUB: u32 = 0x47;
const FNMSUB: u32 = 0x4b;
const FNMADD: u32 = 0x4f;

// Whether there is a floating-point unit just now.
@inline export function isFloatOn(): bool {
  return (load<u64>(hart + MSTATUS) & FS) != 0;
}

@inline export function isFloatDirty(): bool {
  return (load<u64>(hart + MSTATUS) & FS_DIRTY) == FS_DIRTY;
}

@inline export function markFloatDirty(): void {
  store<u64>(hart + MSTATUS, load<u64>(hart + MSTATUS) | FS_DIRTY);
}

// The mode that an instruction asks for; above ROUNDING_MAX it is none.
@inline function roundingOf(field: u32): u32 {
  return field == DYNAMIC ? load<u32>(hart + FCSR) >> 5 : field;
}

@inline function integer(index: u32): u64 {
  return load<u64>(hart + X_REGISTERS + (index << 3));
}

@inline function setInteger(index: u32, value: u64): void {
  if (index != 0) store<u64>(hart + X_REGISTERS + (index << 3), value);
}

@inline function double(index: u32): u64 {
  return load<u64>(hart + F_REGISTERS + (index << 3));
}

@inline function setDouble(index: u32, value: u64): void {
  store<u64>(hart + F_REGISTERS + (index << 3), value);
}

// What is no boxed single counts as a NaN.
@inline function single(index: u32): u32 {
  const value = double(index);
  return value >= BOX ? <u32>value : NAN_32;
}

@inline function setSingle(index: u32, value: u32): void {
  setDouble(index, BOX | <u64>value);
}

// The arithmetic of doubles that has slots of its own; registers as in float-memory.ts. False: it
// is illegal just now.
export function computeDouble(operation: u32, rd: usize, rs1: usize, rs2: usize, bits: u32): bool {
  const rounding = roundingOf(bits & 7);
  if (!isFloatOn() || rounding > ROUNDING_MAX) return false;
  markFloatDirty();
  const a = load<u64>(rs1, F_REGISTERS);
  const b = load<u64>(rs2, F_REGISTERS);
  let value: u64;
  if (operation == FADD_D) value = f64_add(a, b, rounding);
  else if (operation == FMUL_D) value = f64_mul(a, b, rounding);
  else if (operation == FSUB_D) value = f64_sub(a, b, rounding);
  else value = f64_fma(a, b, double(bits >> 3), rounding);
  store<u64>(rd, value, F_REGISTERS);
  return true;
}

export function executeFloat(instruction: u32): u32 {
  const funct5 = instruction >> 27;
  const opcode = instruction & 0x7f;
  const field = (instruction >> 12) & 7;
  const isRounded = opcode != ARITHMETIC || funct5 < 4 || funct5 == 0x0b || funct5 == 0x08 ||
    funct5 == 0x18 || funct5 == 0x1a;
  const rounding = isRounded ? roundingOf(field) : 0;
  if (!isFloatOn() || rounding > ROUNDING_MAX) return raise(CAUSE_ILLEGAL, instruction);
  markFloatDirty();
  const isDouble = ((instruction >> 25) & 1) != 0;
  if (opcode != ARITHMETIC) fuse(instruction, opcode, isDouble, rounding);
  else if (isDouble) executeDouble(instruction, funct5, isRounded ? rounding : field);
  else executeSingle(instruction, funct5, isRounded ? rounding : field);
  return DONE;
}

// The signs of product and sum are those of a factor and of the addend.
function fuse(instruction: u32, opcode: u32, isDouble: bool, rounding: u32): void {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const rs3 = instruction >> 27;
  const flipsProduct = opcode == FNMSUB || opcode == FNMADD;
  const flipsAddend = opcode == FMSUB || opcode == FNMADD;
  if (isDouble) {
    const factor = double(rs1) ^ (flipsProduct ? SIGN_64 : 0);
    const addend = double(rs3) ^ (flipsAddend ? SIGN_64 : 0);
    setDouble(rd, f64_fma(factor, double(rs2), addend, rounding));
  } else {
    const factor = single(rs1) ^ (flipsProduct ? SIGN_32 : 0);
    const addend = single(rs3) ^ (flipsAddend ? SIGN_32 : 0);
    setSingle(rd, f32_fma(factor, single(rs2), addend, rounding));
  }
}

// `mode` is the rounding mode, or which of several operations.
function executeSingle(instruction: u32, funct5: u32, mode: u32): void {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const a = single(rs1);
  switch (funct5) {
    case 0x00: setSingle(rd, f32_add(a, single(rs2), mode)); break;
    case 0x01: setSingle(rd, f32_sub(a, single(rs2), mode)); break;
    case 0x02: setSingle(rd, f32_mul(a, single(rs2), mode)); break;
    case 0x03: setSingle(rd, f32_div(a, single(rs2), mode)); break;
    case 0x0b: setSingle(rd, f32_sqrt(a, mode)); break;
    case 0x04: {
      const b = single(rs2);
      const sign = mode == 0 ? b : mode == 1 ? ~b : a ^ b;
      setSingle(rd, (a & ~SIGN_32) | (sign & SIGN_32));
      break;
    }
    case 0x05:
      setSingle(rd, mode == 0 ? f32_min(a, single(rs2)) : f32_max(a, single(rs2)));
      break;
    case 0x08: setSingle(rd, f32_from_f64(double(rs1), mode)); break;
    case 0x14: {
      const b = single(rs2);
      setInteger(rd, mode == 2 ? f32_eq(a, b) : mode == 1 ? f32_lt(a, b) : f32_le(a, b));
      break;
    }
    case 0x18: setInteger(rd, singleToInteger(rs2, a, mode)); break;
    case 0x1a: setSingle(rd, singleFromInteger(rs2, integer(rs1), mode)); break;
    case 0x1c:
      setInteger(rd, mode == 0 ? <u64><i64><i32>double(rs1) : <u64>f32_class(a));
      break;
    default: setSingle(rd, <u32>integer(rs1));
  }
}

function singleToInteger(kind: u32, value: u32, rounding: u32): u64 {
  if (kind == 0) return f32_to_i32(value, rounding);
  if (kind == 1) return f32_to_u32(value, rounding);
  return kind == 2 ? f32_to_i64(value, rounding) : f32_to_u64(value, rounding);
}

function singleFromInteger(kind: u32, value: u64, rounding: u32): u32 {
  if (kind == 0) return f32_from_i32(value, rounding);
  if (kind == 1) return f32_from_u32(value, rounding);
  return kind == 2 ? f32_from_i64(value, rounding) : f32_from_u64(value, rounding);
}

function executeDouble(instruction: u32, funct5: u32, mode: u32): void {
  const rd = (instruction >> 7) & 31;
  const rs1 = (instruction >> 15) & 31;
  const rs2 = (instruction >> 20) & 31;
  const a = double(rs1);
  const b = double(rs2);
  switch (funct5) {
    case 0x00: setDouble(rd, f64_add(a, b, mode)); break;
    case 0x01: setDouble(rd, f64_sub(a, b, mode)); break;
    case 0x02: setDouble(rd, f64_mul(a, b, mode)); break;
    case 0x03: setDouble(rd, f64_div(a, b, mode)); break;
    case 0x0b: setDouble(rd, f64_sqrt(a, mode)); break;
    case 0x04: {
      const sign = mode == 0 ? b : mode == 1 ? ~b : a ^ b;
      setDouble(rd, (a & ~SIGN_64) | (sign & SIGN_64));
      break;
    }
    case 0x05: setDouble(rd, mode == 0 ? f64_min(a, b) : f64_max(a, b)); break;
    case 0x08: setDouble(rd, f64_from_f32(single(rs1))); break;
    case 0x14:
      setInteger(rd, mode == 2 ? f64_eq(a, b) : mode == 1 ? f64_lt(a, b) : f64_le(a, b));
      break;
    case 0x18: setInteger(rd, doubleToInteger(rs2, a, mode)); break;
    case 0x1a: setDouble(rd, doubleFromInteger(rs2, integer(rs1), mode)); break;
    case 0x1c: setInteger(rd, mode == 0 ? a : <u64>f64_class(a)); break;
    default: setDouble(rd, integer(rs1));
  }
}

function doubleToInteger(kind: u32, value: u64, rounding: u32): u64 {
  if (kind == 0) return f64_to_i32(value, rounding);
  if (kind == 1) return f64_to_u32(value, rounding);
  return kind == 2 ? f64_to_i64(value, rounding) : f64_to_u64(value, rounding);
}

function doubleFromInteger(kind: u32, value: u64, rounding: u32): u64 {
  if (kind == 0) return f64_from_i32(value, rounding);
  if (kind == 1) return f64_from_u32(value, rounding);
  return kind == 2 ? f64_from_i64(value, rounding) : f64_from_u64(value, rounding);
}
