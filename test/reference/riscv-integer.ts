/** Integer instructions of RISC-V on unsigned 64-bit values, straight from the ISA's text. */
export type IntegerOperation = (a: bigint, b: bigint) => bigint;

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const s64 = (value: bigint) => BigInt.asIntN(64, value);
const s32 = (value: bigint) => BigInt.asIntN(32, value);
const u32 = (value: bigint) => BigInt.asUintN(32, value);
const bit = (is: boolean) => (is ? 1n : 0n);

/** Quotients are rounded to zero; by zero they are all ones; the one that overflows wraps. */
const divide: IntegerOperation = (a, b) => (b === 0n ? -1n : a / b);
const remainder: IntegerOperation = (a, b) => (b === 0n ? a : a % b);

const OPERATIONS: Readonly<Record<string, IntegerOperation>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  sll: (a, b) => a << (b & 63n),
  srl: (a, b) => a >> (b & 63n),
  sra: (a, b) => s64(a) >> (b & 63n),
  slt: (a, b) => bit(s64(a) < s64(b)),
  sltu: (a, b) => bit(a < b),
  xor: (a, b) => a ^ b,
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  mul: (a, b) => a * b,
  mulh: (a, b) => (s64(a) * s64(b)) >> 64n,
  mulhsu: (a, b) => (s64(a) * b) >> 64n,
  mulhu: (a, b) => (a * b) >> 64n,
  div: (a, b) => divide(s64(a), s64(b)),
  divu: divide,
  rem: (a, b) => remainder(s64(a), s64(b)),
  remu: remainder,
  addw: (a, b) => s32(a + b),
  subw: (a, b) => s32(a - b),
  sllw: (a, b) => s32(a << (b & 31n)),
  srlw: (a, b) => s32(u32(a) >> (b & 31n)),
  sraw: (a, b) => s32(a) >> (b & 31n),
  mulw: (a, b) => s32(a * b),
  divw: (a, b) => s32(divide(s32(a), s32(b))),
  divuw: (a, b) => s32(divide(u32(a), u32(b))),
  remw: (a, b) => s32(remainder(s32(a), s32(b))),
  remuw: (a, b) => s32(remainder(u32(a), u32(b))),
};

export function integerReference(name: string): IntegerOperation {
  const operation = OPERATIONS[name];
  if (operation === undefined) throw new Error(`No such instruction: ${name}`);
  return (a, b) => u64(operation(a, b));
}
