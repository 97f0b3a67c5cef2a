import { beforeEach, describe, expect, test } from 'vitest';
import {
  FCSR,
  MCAUSE,
  MSTATUS,
  MTVAL,
  MTVEC,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { csrr, csrrw, csrrwi, iType, ld, NOP, rType, sd, sType } from './assembler.ts';
import { DEVICE, HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const DATA = RAM_START + 0x10_0000n;
const FS = 3n << 13n;
const FS_INITIAL = 1n << 13n;
const DIRTY = (1n << 63n) | FS;
const BOX = 0xffff_ffff_0000_0000n;
const NAN_32 = BOX | 0x7fc0_0000n;
const NAN_64 = 0x7ff8_0000_0000_0000n;
const ONE_32 = BOX | 0x3f80_0000n;
const DYNAMIC = 7;
const INVALID = 16;
const INEXACT = 1;

beforeEach(() => {
  bench.reset();
  bench.set64(MTVEC, RAM_START + 0x8000n);
  bench.set64(MSTATUS, FS_INITIAL);
});

const single = (value: number) =>
  BOX | BigInt(new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0);
const double = (value: number) => new BigUint64Array(new Float64Array([value]).buffer)[0] ?? 0n;
/** funct5 and format (0 single, 1 double) of the arithmetic. */
const float = (
  funct5: number,
  format: number,
  rd: number,
  rs1: number,
  rs2: number,
  rm = DYNAMIC,
) => rType(0x53, rm, (funct5 << 2) | format, rd, rs1, rs2);
const fused = (opcode: number, format: number, rd: number, rs1: number, rs2: number, rs3: number) =>
  rType(opcode, DYNAMIC, (rs3 << 2) | format, rd, rs1, rs2);
const flw = (rd: number, rs1: number) => iType(0x07, 2, rd, rs1, 0);
const fld = (rd: number, rs1: number) => iType(0x07, 3, rd, rs1, 0);
const fsw = (rs2: number, rs1: number) => sType(0x27, 2, rs1, rs2, 0);
const fsd = (rs2: number, rs1: number) => sType(0x27, 3, rs1, rs2, 0);

/** Registers 1, 2 and 3 are the operands, 4 the result. */
function compute(instruction: number, ...operands: bigint[]): bigint {
  for (const [index, operand] of operands.entries()) bench.setF(index + 1, operand);
  bench.runCode(instruction);
  return bench.f(4);
}

describe('arithmetic', () => {
  test.each([
    ['add', 0x00, 5.5],
    ['subtract', 0x01, 1.5],
    ['multiply', 0x02, 7],
    ['divide', 0x03, 1.75],
    ['minimum', 0x05, 2],
  ])('%s', (_, funct5, result) => {
    const rm = funct5 === 5 ? 0 : DYNAMIC;
    expect(compute(float(funct5, 0, 4, 1, 2, rm), single(3.5), single(2))).toBe(single(result));
    expect(compute(float(funct5, 1, 4, 1, 2, rm), double(3.5), double(2))).toBe(double(result));
    expect(bench.get32(FCSR)).toBe(0);
    expect(bench.get64(MCAUSE)).toBe(0n);
  });

  test.each([
    ['fmadd', 0x43, 10],
    ['fmsub', 0x47, 4],
    ['fnmsub', 0x4b, -4],
    ['fnmadd', 0x4f, -10],
  ])('%s', (_, opcode, result) => {
    const operands = [3.5, 2, 3] as const;
    expect(compute(fused(opcode, 0, 4, 1, 2, 3), ...operands.map(single))).toBe(single(result));
    expect(compute(fused(opcode, 1, 4, 1, 2, 3), ...operands.map(double))).toBe(double(result));
  });

  test('root, maximum and signs', () => {
    expect(compute(float(0x0b, 0, 4, 1, 0), single(2.25))).toBe(single(1.5));
    expect(compute(float(0x0b, 1, 4, 1, 0), double(2.25))).toBe(double(1.5));
    expect(compute(float(0x05, 0, 4, 1, 2, 1), single(-1), single(2))).toBe(single(2));
    const signs = [-3, 3, 3];
    for (const [rm, value] of signs.entries()) {
      expect(compute(float(0x04, 0, 4, 1, 2, rm), single(-3), single(-1))).toBe(single(value));
      expect(compute(float(0x04, 1, 4, 1, 2, rm), double(-3), double(-1))).toBe(double(value));
    }
  });

  test('comparison and classification go to integer registers', () => {
    // le, lt, eq.
    for (const [rm, result] of [1n, 1n, 0n].entries()) {
      compute(float(0x14, 0, 4, 1, 2, rm), single(1), single(2));
      expect(bench.x(4)).toBe(result);
      compute(float(0x14, 1, 4, 1, 2, rm), double(1), double(2));
      expect(bench.x(4)).toBe(result);
    }
    compute(float(0x1c, 0, 4, 1, 0, 1), single(-0));
    expect(bench.x(4)).toBe(1n << 3n);
    compute(float(0x1c, 1, 4, 1, 0, 1), NAN_64);
    expect(bench.x(4)).toBe(1n << 9n);
  });

  test('conversions, with the kinds of integers', () => {
    const WIDE = [-3n, 0xffff_ffff_ffff_fffdn, -3n, 0xffff_ffff_ffff_fffdn];
    for (let kind = 0; kind < 4; kind += 1) {
      for (const [format, value] of [[0, single(-3)] as const, [1, double(-3)] as const]) {
        // Unsigned ones saturate at zero.
        compute(float(0x18, format, 4, 1, kind), value);
        expect(bench.x(4)).toBe(kind % 2 === 1 ? 0n : BigInt.asUintN(64, WIDE[kind] ?? 0n));
      }
    }
    bench.setX(1, -2n);
    const read = [-2, 2 ** 32 - 2, -2, 2 ** 64];
    for (const [kind, value] of read.entries()) {
      bench.set32(FCSR, 0);
      expect(compute(float(0x1a, 1, 4, 1, kind))).toBe(double(value));
      expect(compute(float(0x1a, 0, 4, 1, kind))).toBe(single(value));
    }
    expect(compute(float(0x08, 0, 4, 1, 1), double(1.5))).toBe(single(1.5));
    expect(compute(float(0x08, 1, 4, 1, 0), single(1.5))).toBe(double(1.5));
  });

  test('moves keep all bits', () => {
    bench.setX(1, 0x1234_5678_8765_4321n);
    expect(compute(float(0x1e, 0, 4, 1, 0, 0))).toBe(BOX | 0x8765_4321n);
    expect(compute(float(0x1e, 1, 4, 1, 0, 0))).toBe(0x1234_5678_8765_4321n);
    compute(float(0x1c, 0, 4, 1, 0, 0), 0x1234_5678_8765_4321n);
    expect(bench.x(4)).toBe(0xffff_ffff_8765_4321n);
    compute(float(0x1c, 1, 4, 1, 0, 0), 0x1234_5678_8765_4321n);
    expect(bench.x(4)).toBe(0x1234_5678_8765_4321n);
    bench.runCode(float(0x1c, 1, 0, 1, 0, 0));
    expect(bench.x(0)).toBe(0n);
  });
});

describe('boxes', () => {
  test('what is no boxed single counts as a NaN, but for moves and stores', () => {
    const loose = 0xffff_fffe_3f80_0000n;
    expect(compute(float(0x00, 0, 4, 1, 2), loose, ONE_32)).toBe(NAN_32);
    expect(bench.get32(FCSR)).toBe(0);
    expect(compute(float(0x04, 0, 4, 1, 1, 0), loose)).toBe(NAN_32);
    expect(compute(fused(0x43, 0, 4, 1, 1, 2), ONE_32, loose)).toBe(NAN_32);
    expect(compute(float(0x08, 1, 4, 1, 0), loose)).toBe(NAN_64);
    bench.setX(6, DATA);
    bench.runCode(fsw(1, 6), fsd(2, 6));
    compute(fsw(1, 6), loose);
    expect(bench.ram32(DATA)).toBe(0x3f80_0000);
  });

  test('loads box singles', () => {
    bench.setRam64(DATA, 0x1234_5678_3f80_0000n);
    bench.setX(6, DATA);
    bench.runCode(flw(1, 6), fld(2, 6), flw(3, 6));
    expect([1, 2, 3].map(bench.f)).toEqual([ONE_32, 0x1234_5678_3f80_0000n, ONE_32]);
    bench.setX(6, DATA + 0xffdn);
    bench.setRam64(DATA + 0xff8n, 0xabcd_ef00_0000_0000n);
    bench.setRam64(DATA + 0x1000n, 0x55n);
    bench.runCode(flw(1, 6));
    expect(bench.f(1)).toBe(BOX | 0x55ab_cdefn);
    bench.setX(6, BigInt(DEVICE));
    bench.runCode(fld(1, 6), flw(2, 6));
    expect([bench.f(1), bench.f(2)]).toEqual([0x8877_6659_8877_6655n, BOX | 0x8877_6655n]);
  });
});

const ALL_KINDS: readonly [string, number][] = [
  ['fadd.s', float(0x00, 0, 4, 1, 2)],
  ['fadd.d', float(0x00, 1, 4, 1, 2)],
  ['fmul.d', float(0x02, 1, 4, 1, 2)],
  ['fmadd.d', fused(0x43, 1, 4, 1, 2, 3)],
  ['fnmadd.s', fused(0x4f, 0, 4, 1, 2, 3)],
  ['flw', flw(4, 6)],
  ['fld', fld(4, 6)],
  ['c.fld', 0x2308],
  ['fcvt.w.s', float(0x18, 0, 4, 1, 0)],
  ['fmv.d.x', float(0x1e, 1, 4, 1, 0, 0)],
];

describe('mstatus.FS', () => {
  /** The page is in the TLBs, so that accesses take the short way if they may. */
  function warm(): void {
    bench.setX(6, DATA);
    bench.setX(14, DATA);
    bench.runCode(ld(5, 6), sd(5, 6));
  }

  test.each([...ALL_KINDS, ['fsw', fsw(1, 6)] as const, ['fsd', fsd(1, 6)] as const])(
    'off: %s is illegal',
    (_, instruction) => {
      warm();
      bench.set64(MSTATUS, 0n);
      bench.runCode(instruction);
      expect([bench.get64(MCAUSE), bench.get64(MTVAL)]).toEqual([2n, BigInt(instruction)]);
      expect([bench.f(4), bench.get64(MSTATUS) & FS]).toEqual([0n, 0n]);
    },
  );

  test.each(ALL_KINDS)('is dirty after %s', (_, instruction) => {
    warm();
    bench.runCode(instruction);
    expect(bench.get64(MCAUSE)).toBe(0n);
    expect(bench.get64(MSTATUS) & DIRTY).toBe(DIRTY);
  });

  test('stores and reads of fcsr leave it', () => {
    bench.setX(6, DATA);
    bench.runCode(fsw(1, 6), fsd(1, 6), csrr(5, 3));
    expect(bench.get64(MSTATUS) & DIRTY).toBe(FS_INITIAL);
    bench.runCode(csrrwi(0, 2, 1));
    expect(bench.get64(MSTATUS) & DIRTY).toBe(DIRTY);
  });

  test('off: fcsr is closed', () => {
    bench.set64(MSTATUS, 0n);
    for (const csr of [1, 2, 3]) {
      bench.set64(MCAUSE, 0n);
      bench.runCode(csrr(5, csr));
      expect(bench.get64(MCAUSE)).toBe(2n);
    }
  });
});

describe('fcsr', () => {
  test('flags add up, are read and written, and survive the end of a run', () => {
    compute(float(0x03, 1, 4, 1, 2), double(1), double(3));
    expect(bench.get32(FCSR)).toBe(INEXACT);
    compute(float(0x01, 1, 4, 1, 1), double(Number.POSITIVE_INFINITY));
    expect(bench.get32(FCSR)).toBe(INEXACT | INVALID);
    bench.runCode(csrr(5, 1), csrr(6, 3), csrrwi(7, 1, 2), csrr(8, 3));
    expect([5, 6, 7, 8].map(bench.x)).toEqual([17n, 17n, 17n, 2n]);
    expect(bench.get32(FCSR)).toBe(2);
    bench.setX(6, 0xfffn);
    bench.runCode(csrrw(5, 3, 6), csrr(5, 2), csrr(7, 1));
    expect([bench.x(5), bench.x(7), bench.get32(FCSR)]).toEqual([7n, 31n, 0xff]);
  });

  test('an instruction’s own rounding mode wins over that of fcsr', () => {
    // 1 + 2^-60 is between two numbers, near to the lower.
    const up = double(1 + 2 ** -52);
    for (const [frm, rm, result] of [
      [0, DYNAMIC, double(1)],
      [3, DYNAMIC, up],
      [3, 0, double(1)],
      [0, 3, up],
      [2, DYNAMIC, double(1)],
    ] as const) {
      bench.set32(FCSR, frm << 5);
      expect(compute(float(0x00, 1, 4, 1, 2, rm), double(1), double(2 ** -60))).toBe(result);
    }
  });

  test.each([5, 6, 7])('rounding mode %i in fcsr is illegal, where it is used', (frm) => {
    bench.set32(FCSR, frm << 5);
    for (const instruction of [
      float(0x00, 0, 4, 1, 2),
      float(0x00, 1, 4, 1, 2),
      float(0x02, 1, 4, 1, 2),
      fused(0x43, 1, 4, 1, 2, 3),
      float(0x18, 1, 4, 1, 0),
    ]) {
      bench.set64(MCAUSE, 0n);
      bench.runCode(instruction);
      expect([bench.get64(MCAUSE), bench.get64(MTVAL)]).toEqual([2n, BigInt(instruction)]);
      expect(bench.get64(MSTATUS) & FS).toBe(FS_INITIAL);
    }
    bench.set64(MCAUSE, 0n);
    bench.runCode(float(0x00, 1, 4, 1, 2, 0), float(0x04, 1, 4, 1, 2, 0), NOP);
    expect(bench.get64(MCAUSE)).toBe(0n);
  });
});

describe('malformed encodings are illegal', () => {
  test.each([
    ['rounding mode 5', float(0x00, 0, 4, 1, 2, 5)],
    ['rounding mode 6', float(0x00, 1, 4, 1, 2, 6)],
    ['fused with rounding mode 5', rType(0x43, 5, 1, 4, 1, 2)],
    ['half precision', float(0x00, 2, 4, 1, 2)],
    ['quadruple precision', float(0x00, 3, 4, 1, 2)],
    ['fused in half precision', rType(0x43, 0, 2, 4, 1, 2)],
    ['root with rs2', float(0x0b, 0, 4, 1, 1)],
    ['sign injection, funct3 3', float(0x04, 0, 4, 1, 2, 3)],
    ['minimum, funct3 2', float(0x05, 0, 4, 1, 2, 2)],
    ['comparison, funct3 3', float(0x14, 1, 4, 1, 2, 3)],
    ['single from single', float(0x08, 0, 4, 1, 0)],
    ['double from double', float(0x08, 1, 4, 1, 1)],
    ['conversion to kind 4', float(0x18, 0, 4, 1, 4)],
    ['conversion from kind 4', float(0x1a, 1, 4, 1, 4)],
    ['move, funct3 2', float(0x1c, 0, 4, 1, 0, 2)],
    ['move with rs2', float(0x1e, 0, 4, 1, 1, 0)],
    ['move from, funct3 1', float(0x1e, 0, 4, 1, 0, 1)],
    ['flh', iType(0x07, 1, 4, 6, 0)],
    ['flq', iType(0x07, 4, 4, 6, 0)],
    ['fsh', sType(0x27, 1, 6, 1, 0)],
  ])('%s', (_, instruction) => {
    bench.runCode(instruction);
    expect([bench.get64(MCAUSE), bench.get64(MTVAL)]).toEqual([2n, BigInt(instruction)]);
  });
});
