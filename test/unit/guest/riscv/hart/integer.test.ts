import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { STEPS } from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { integerReference } from '../../../../reference/riscv-integer.ts';
import { bType, iType, jal, jalr, NOP, rType, uType } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const RS1 = 6;
const RS2 = 7;
const RD = 5;

const EDGES = [
  0n,
  1n,
  2n,
  63n,
  64n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];
const word = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));

/** Name, opcode, funct3, funct7. */
const REGISTER_OPERATIONS: readonly [string, number, number, number][] = [
  ...['add', 'sll', 'slt', 'sltu', 'xor', 'srl', 'or', 'and'].map(
    (name, funct3): [string, number, number, number] => [name, 0x33, funct3, 0],
  ),
  ['sub', 0x33, 0, 32],
  ['sra', 0x33, 5, 32],
  ...['mul', 'mulh', 'mulhsu', 'mulhu', 'div', 'divu', 'rem', 'remu'].map(
    (name, funct3): [string, number, number, number] => [name, 0x33, funct3, 1],
  ),
  ['addw', 0x3b, 0, 0],
  ['sllw', 0x3b, 1, 0],
  ['srlw', 0x3b, 5, 0],
  ['subw', 0x3b, 0, 32],
  ['sraw', 0x3b, 5, 32],
  ['mulw', 0x3b, 0, 1],
  ['divw', 0x3b, 4, 1],
  ['divuw', 0x3b, 5, 1],
  ['remw', 0x3b, 6, 1],
  ['remuw', 0x3b, 7, 1],
];

describe('register and register', () => {
  test.each(REGISTER_OPERATIONS)('%s', (name, opcode, funct3, funct7) => {
    const reference = integerReference(name);
    const check = (a: bigint, b: bigint) => {
      bench.setX(RS1, a);
      bench.setX(RS2, b);
      bench.runCode(rType(opcode, funct3, funct7, RD, RS1, RS2));
      expect(bench.x(RD)).toBe(reference(a, b));
    };
    for (const a of EDGES) for (const b of EDGES) check(a, b);
    fc.assert(fc.property(word, word, check), { numRuns: 50 });
  });
});

/** Name of the register operation, opcode, funct3, bits that are set in the immediate. */
const IMMEDIATES: readonly [string, number, number][] = [
  ['add', 0x13, 0],
  ['slt', 0x13, 2],
  ['sltu', 0x13, 3],
  ['xor', 0x13, 4],
  ['or', 0x13, 6],
  ['and', 0x13, 7],
  ['addw', 0x1b, 0],
];
const SHIFTS: readonly [string, number, number, number, number][] = [
  ['sll', 0x13, 1, 0, 63],
  ['srl', 0x13, 5, 0, 63],
  ['sra', 0x13, 5, 0x400, 63],
  ['sllw', 0x1b, 1, 0, 31],
  ['srlw', 0x1b, 5, 0, 31],
  ['sraw', 0x1b, 5, 0x400, 31],
];

describe('register and immediate', () => {
  test.each(IMMEDIATES)('%si', (name, opcode, funct3) => {
    const immediate = fc.integer({ min: -2048, max: 2047 });
    fc.assert(
      fc.property(word, immediate, (a, b) => {
        bench.setX(RS1, a);
        bench.runCode(iType(opcode, funct3, RD, RS1, b));
        expect(bench.x(RD)).toBe(integerReference(name)(a, BigInt.asUintN(64, BigInt(b))));
      }),
    );
  });

  test.each(SHIFTS)('%si', (name, opcode, funct3, bits, max) => {
    for (let amount = 0; amount <= max; amount += 1) {
      for (const a of EDGES) {
        bench.setX(RS1, a);
        bench.runCode(iType(opcode, funct3, RD, RS1, bits | amount));
        expect(bench.x(RD)).toBe(integerReference(name)(a, BigInt(amount)));
      }
    }
  });

  test('lui and auipc', () => {
    bench.runCode(uType(0x37, RD, 0x8_0001), uType(0x17, 6, 0xf_ffff));
    expect(bench.x(RD)).toBe(0xffff_ffff_8000_1000n);
    expect(bench.x(6)).toBe(RAM_START + 4n - 0x1000n);
  });
});

test('x0 stays zero, whatever is meant for it', () => {
  bench.reset();
  bench.setX(RS1, 7n);
  bench.runCode(
    rType(0x33, 0, 0, 0, RS1, RS1),
    iType(0x13, 0, 0, RS1, 1),
    uType(0x37, 0, 5),
    uType(0x17, 0, 5),
    iType(0x03, 3, 0, 0, 0) | (8 << 15),
  );
  expect(bench.x(0)).toBe(0n);
  bench.runCode(jal(0, 4), rType(0x33, 0, 0, RD, 0, 0));
  expect([bench.x(0), bench.x(RD)]).toEqual([0n, 0n]);
});

/** Name, funct3, the relation. */
const BRANCHES: readonly [string, number, (a: bigint, b: bigint) => boolean][] = [
  ['beq', 0, (a, b) => a === b],
  ['bne', 1, (a, b) => a !== b],
  ['blt', 4, (a, b) => BigInt.asIntN(64, a) < BigInt.asIntN(64, b)],
  ['bge', 5, (a, b) => BigInt.asIntN(64, a) >= BigInt.asIntN(64, b)],
  ['bltu', 6, (a, b) => a < b],
  ['bgeu', 7, (a, b) => a >= b],
];

describe('branches', () => {
  // Within the page, to its last halfword, out of it, and as far as they reach.
  test.each(BRANCHES)('%s', (_, funct3, isTaken) => {
    const from = RAM_START + 0x4000n;
    for (const offset of [8, -64, 4094, 4095 & ~1, -4096, 2046, -2]) {
      for (const a of EDGES) {
        for (const b of [a, 0n, 0x8000_0000_0000_0000n]) {
          bench.setX(RS1, a);
          bench.setX(RS2, b);
          bench.load(from, bType(funct3, RS1, RS2, offset));
          bench.hart.hartFlushCode();
          bench.pc = from;
          expect(bench.hart.hartRun(1)).toBe(1);
          expect(bench.pc).toBe(from + (isTaken(a, b) ? BigInt(offset) : 4n));
        }
      }
    }
  });
});

test('jal and jalr jump anywhere and link', () => {
  bench.reset();
  const from = RAM_START + 0x20_0000n;
  for (const offset of [4, 8, -2, 4094, -4096, 0xf_fffe, -0x10_0000]) {
    bench.load(from, jal(1, offset));
    bench.hart.hartFlushCode();
    bench.pc = from;
    bench.hart.hartRun(1);
    expect([bench.pc, bench.x(1)]).toEqual([from + BigInt(offset), from + 4n]);
  }
  // The lowest bit of the target is dropped, and rd may be rs1.
  bench.setX(RS1, RAM_START + 0x1235n);
  bench.runCode(jalr(RS1, RS1, 0x10));
  expect([bench.pc, bench.x(RS1)]).toEqual([RAM_START + 0x1244n, RAM_START + 4n]);
});

test('a run executes exactly its budget', () => {
  bench.reset();
  // A loop that stays in its page, leaves it, and falls out of it.
  const end = RAM_START + 0x1000n;
  bench.load(end - 6n, 0x0001, NOP, jal(0, -6));
  bench.load(RAM_START, ...Array.from({ length: 64 }, () => NOP), jal(0, 0xffa - 256));
  for (const budget of [1, 2, 3, 7, 64, 65, 66, 67, 100, 1001]) {
    bench.set64(STEPS, 0n);
    bench.pc = RAM_START;
    expect(bench.hart.hartRun(budget)).toBe(budget);
    const atOnce = bench.state();
    bench.pc = RAM_START;
    bench.set64(STEPS, 0n);
    for (let step = 0; step < budget; step += 1) expect(bench.hart.hartRun(1)).toBe(1);
    expect(bench.state()).toEqual(atOnce);
    expect(bench.get64(STEPS)).toBe(BigInt(budget));
  }
});
