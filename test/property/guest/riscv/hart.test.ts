import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FCSR, MSTATUS, MTVEC, STEPS } from '../../../../src/guest/riscv/hart/hart-layout.ts';
import { HART_STOP } from '../../../../src/guest/riscv/hart-module.ts';
import {
  amo,
  bType,
  csrrs,
  iType,
  jal,
  load,
  MRET,
  rType,
  store,
  uType,
} from '../../../unit/guest/riscv/hart/assembler.ts';
import { HartBench, RAM_START } from '../../../unit/guest/riscv/hart/hart-bench.ts';

/*
 * Whatever a program is: to run it at once, with all that the hart derives and keeps; step by step,
 * with nothing kept; and with pages that are missing, comes to the same.
 */

const bench = new HartBench();
const HANDLER = RAM_START + 0x8000n;
const CODE = RAM_START + 0x2f00n;
const DATA = RAM_START + 0x10_0000n;
const DATA_PAGES = 4;
const DATA_PFN = 0x100;
const CODE_PFN = 2;
const STEPS_MAX = 300;

// Bases of accesses are never written, so that no program writes code.
const register = fc.oneof(fc.constant(0), fc.integer({ min: 16, max: 31 }));
const base = fc.integer({ min: 8, max: 15 });
const bits = (count: number) => fc.integer({ min: 0, max: 2 ** count - 1 });
const near = fc.integer({ min: -60, max: 60 }).map((halfwords) => halfwords * 2);

const instruction = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(bits(3), register, register, bits(12))
      .map(([f3, rd, rs1, imm]) => iType(0x13, f3, rd, rs1, imm)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(bits(3), fc.constantFrom(0, 1, 32), register, register, register)
      .map(([f3, f7, rd, rs1, rs2]) => rType(0x33, f3, f7, rd, rs1, rs2)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(bits(3), fc.constantFrom(0, 1, 32), register, register, register)
      .map(([f3, f7, rd, rs1, rs2]) => rType(0x3b, f3, f7, rd, rs1, rs2)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(bits(3), register, base, bits(12))
      .map(([f3, rd, rs1, imm]) => load(f3, rd, rs1, imm)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(bits(2), register, base, bits(12))
      .map(([f3, rs2, rs1, imm]) => store(f3, rs2, rs1, imm)),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(bits(3), register, register, near)
      .map(([f3, rs1, rs2, offset]) => bType(f3, rs1, rs2, offset)),
  },
  { weight: 1, arbitrary: fc.tuple(register, near).map(([rd, offset]) => jal(rd, offset)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(bits(5), register, base, register, fc.constantFrom(4, 8))
      .map(([f5, rd, rs1, rs2, bytes]) => amo(f5, rd, rs1, rs2, bytes)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(bits(5), bits(1), bits(3), bits(5), bits(5), bits(5))
      .map(([f5, format, rm, rd, rs1, rs2]) =>
        rType(0x53, rm, (f5 << 2) | format, rd < 16 && rd > 0 ? 16 : rd, rs1, rs2),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(2, 3), bits(5), base, bits(12))
      .map(([f3, rd, rs1, imm]) => iType(0x07, f3, rd, rs1, imm)),
  },
  { weight: 1, arbitrary: fc.tuple(register, bits(20)).map(([rd, imm]) => uType(0x17, rd, imm)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(register, fc.constantFrom(1, 2, 3, 0x340, 0x342, 0xb00, 0xc00), register)
      .map(([rd, csr, rs1]) => csrrs(rd, csr, rs1)),
  },
  // Compressed: of the lower registers only moves and arithmetic that spare the bases.
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(0, 2), bits(6), register)
      .map(([f3, imm, rd]) => (f3 << 13) | ((imm >> 5) << 12) | (rd << 7) | ((imm & 31) << 2) | 1),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      0x0000,
      0x0001,
      0x9002,
      0x0000_0073,
      0x0000_100f,
      0x0ff0_000f,
      0x1200_0073,
    ),
  },
);
const program = fc.array(instruction, { minLength: 40, maxLength: 120 });

/** The handler goes on behind what trapped, if that was long; else amid it. */
function prepare(code: readonly number[], seed: number): void {
  bench.reset();
  // csrr x3, mepc; addi x3, x3, 4; csrw mepc, x3; mret
  bench.load(
    HANDLER,
    csrrs(3, 0x341, 0),
    iType(0x13, 0, 3, 3, 4),
    iType(0x73, 1, 0, 3, 0x341),
    MRET,
  );
  bench.set64(MTVEC, HANDLER);
  bench.set64(MSTATUS, 1n << 13n);
  bench.set32(FCSR, seed & 31);
  bench.load(CODE, ...code, jal(0, -64));
  for (let index = 8; index < 16; index += 1) {
    bench.setX(index, DATA + BigInt(((seed >>> index) & 3) * 0x1000 + index * 0x123));
  }
  for (let index = 16; index < 32; index += 1) {
    bench.setX(index, BigInt(seed) * 0x9e37_79b9_7f4a_7c15n * BigInt(index));
    bench.setF(index - 16, BigInt(seed) * 0xbf58_476d_1ce4_e5b9n * BigInt(index));
  }
  bench.pc = CODE;
}

function outcome(): { state: Uint8Array; data: bigint[] } {
  const data = Array.from({ length: DATA_PAGES * 512 }, (_, index) =>
    bench.ram64(DATA + BigInt(index) * 8n),
  );
  return { state: bench.state(), data };
}

test('a program comes to the same in one run, in single steps, and over missing pages', () => {
  fc.assert(
    fc.property(program, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (code, seed) => {
      prepare(code, seed);
      expect(bench.hart.hartRun(STEPS_MAX)).toBe(STEPS_MAX);
      const atOnce = outcome();

      prepare(code, seed);
      for (let step = 0; step < STEPS_MAX; step += 1) {
        bench.hart.hartFlush();
        expect(bench.hart.hartRun(1)).toBe(1);
      }
      expect(outcome()).toEqual(atOnce);

      prepare(code, seed);
      bench.lose(
        8,
        CODE_PFN,
        CODE_PFN + 1,
        ...Array.from({ length: DATA_PAGES }, (_, page) => DATA_PFN + page),
      );
      for (let answer = 0; answer < 40; answer += 1)
        bench.missingAnswers.push((seed >>> (answer % 31)) & 1);
      let executed = 0;
      for (let run = 0; run < 100 && executed < STEPS_MAX; run += 1) {
        executed += bench.hart.hartRun(STEPS_MAX - executed);
        const wanted = executed < STEPS_MAX ? HART_STOP.interrupted : HART_STOP.budget;
        expect(bench.hart.hartStopReason()).toBe(wanted);
        expect(bench.get64(STEPS)).toBe(BigInt(executed));
      }
      expect(outcome()).toEqual(atOnce);
    }),
    { numRuns: 100 },
  );
});
