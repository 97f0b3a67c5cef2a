import { beforeEach, describe, expect, test } from 'vitest';
import {
  DETERMINISTIC,
  MCAUSE,
  MENVCFG,
  MIP,
  MTVEC,
  PMPADDR,
  PMPCFG,
  PRIVILEGE,
  STEPS,
  TIME_BASE,
  TRAPPED_STEPS,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { csrr, csrrc, csrrs, csrrw, csrrwi, ECALL, iType, NOP } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const ALL = 0xffff_ffff_ffff_ffffn;
const HANDLER = RAM_START + 0x8000n;

beforeEach(() => {
  bench.reset();
  bench.set64(PMPADDR, 0x3f_ffff_ffff_ffffn);
  bench.set32(PMPCFG, 0x1f);
  bench.hart.hartFlush();
  bench.set64(MTVEC, HANDLER);
});

/** What a register holds after `value` was written to it. */
function writeAndRead(csr: number, value: bigint): bigint {
  bench.setX(6, value);
  bench.runCode(csrrw(5, csr, 6), csrr(5, csr));
  expect(bench.get64(MCAUSE)).toBe(0n);
  return bench.x(5);
}

describe('fields that hold only some values', () => {
  test.each([
    // Name, number, written, read.
    ['mstatus', 0x300, ALL, 0x8000_000a_007e_79aan],
    ['mstatus without dirty floats', 0x300, 0x2000n, 0xa_0000_2000n],
    ['sstatus', 0x100, ALL, 0x8000_0002_000c_6122n],
    ['misa', 0x301, 0n, 0x8000_0000_0014_112dn],
    ['medeleg', 0x302, ALL, 0xb3ffn],
    ['mideleg', 0x303, ALL, 0x222n],
    ['mie', 0x304, ALL, 0xaaan],
    ['mtvec', 0x305, ALL, ALL - 2n],
    ['mcounteren', 0x306, ALL, 0xffff_ffffn],
    ['menvcfg', 0x30a, ALL, 0x8000_0000_0000_0001n],
    ['mcountinhibit', 0x320, ALL, 5n],
    ['mscratch', 0x340, ALL, ALL],
    ['mepc', 0x341, ALL, ALL - 1n],
    ['mtval', 0x343, ALL, ALL],
    ['mip', 0x344, ALL, 0x222n],
    ['stvec', 0x105, ALL, ALL - 2n],
    ['scounteren', 0x106, ALL, 0xffff_ffffn],
    ['senvcfg', 0x10a, ALL, 1n],
    ['sscratch', 0x140, ALL, ALL],
    ['sepc', 0x141, ALL, ALL - 1n],
    ['scause', 0x142, ALL, ALL],
    ['stval', 0x143, ALL, ALL],
    ['stimecmp', 0x14d, ALL, ALL],
    ['satp, Sv39', 0x180, 0x8123_4000_0000_1234n, 0x8123_4000_0000_1234n],
    ['satp, Sv48', 0x180, 0x9000_0000_0000_0000n, 0n],
    ['mhpmcounter3', 0xb03, ALL, 0n],
    ['mhpmevent31', 0x33f, ALL, 0n],
    ['tselect', 0x7a0, ALL, 0n],
    ['tdata1', 0x7a1, ALL, 0n],
  ])('%s', (_, csr, written, read) => {
    expect(writeAndRead(csr, written)).toBe(read);
  });

  test('mstatus.MPP keeps what it had instead of mode 2', () => {
    writeAndRead(0x300, 1n << 11n);
    expect((writeAndRead(0x300, 2n << 11n) >> 11n) & 3n).toBe(1n);
  });

  test('sie and sip show and change what is delegated', () => {
    writeAndRead(0x304, 0xaaan);
    expect(writeAndRead(0x104, 0n)).toBe(0n);
    expect(writeAndRead(0x303, 0x22n)).toBe(0x22n);
    expect(writeAndRead(0x104, 0x2n)).toBe(2n);
    bench.runCode(csrr(5, 0x304));
    expect(bench.x(5)).toBe(0xa8an & ~0x20n);
    bench.set32(MIP, 0x2a0);
    expect(writeAndRead(0x144, ALL)).toBe(0x22n);
    expect(bench.get32(MIP)).toBe(0x2a2);
  });
});

describe('instructions', () => {
  test('set and clear bits, and read what was', () => {
    writeAndRead(0x340, 0xf0n);
    bench.setX(6, 0x3cn);
    bench.runCode(csrrs(5, 0x340, 6), csrrc(7, 0x340, 6), csrr(8, 0x340));
    expect([bench.x(5), bench.x(7), bench.x(8)]).toEqual([0xf0n, 0xfcn, 0xc0n]);
    bench.runCode(
      csrrwi(5, 0x340, 21),
      iType(0x73, 6, 6, 10, 0x340),
      iType(0x73, 7, 7, 3, 0x340),
      csrr(8, 0x340),
    );
    expect([5, 6, 7, 8].map(bench.x)).toEqual([0xc0n, 21n, 31n, 28n]);
  });

  test('with rd and rs1 the same register exchange', () => {
    writeAndRead(0x340, 1n);
    bench.setX(6, 2n);
    bench.runCode(csrrw(6, 0x340, 6), csrr(7, 0x340));
    expect([bench.x(6), bench.x(7)]).toEqual([1n, 2n]);
  });

  test('that set or clear nothing do not write', () => {
    bench.runCode(csrrs(5, 0xf14, 0), csrrc(5, 0xc00, 0));
    expect(bench.get64(MCAUSE)).toBe(0n);
  });

  test('bits of mip that the instruction does not name stay as devices left them', () => {
    bench.set32(MIP, 0x800);
    bench.setX(6, 2n);
    bench.runCode(csrrs(5, 0x344, 6), csrrc(7, 0x344, 6));
    expect([bench.x(5), bench.x(7), bench.get32(MIP)]).toEqual([0x800n, 0x802n, 0x800]);
  });
});

describe('counters', () => {
  test('count, and traps do not retire', () => {
    bench.load(HANDLER, csrr(5, 0xb00), csrr(6, 0xb02));
    bench.runCode(NOP, NOP, ECALL, NOP, NOP);
    expect([bench.x(5), bench.x(6)]).toEqual([3n, 3n]);
    expect([bench.get64(STEPS), bench.get64(TRAPPED_STEPS)]).toEqual([5n, 1n]);
  });

  test('read after a write what was written', () => {
    bench.setX(6, 1000n);
    bench.runCode(csrrw(0, 0xb00, 6), csrr(5, 0xb00), csrrw(0, 0xb02, 6), csrr(7, 0xb02));
    expect([bench.x(5), bench.x(7)]).toEqual([1000n, 1000n]);
    bench.runCode(NOP, csrr(5, 0xc00), csrr(7, 0xc02));
    expect([bench.x(5), bench.x(7)]).toEqual([1004n, 1003n]);
  });

  test('stand still while they are inhibited', () => {
    bench.setX(6, 70n);
    bench.runCode(csrrw(0, 0xb02, 6), csrrwi(0, 0x320, 4), csrr(5, 0xb02), NOP, csrr(7, 0xb02));
    expect(bench.x(7)).toBe(bench.x(5));
    // What lets it count counts already.
    bench.runCode(csrrw(0, 0xb02, 6), csrr(5, 0xb02), csrrwi(0, 0x320, 0), NOP, csrr(7, 0xb02));
    expect([bench.x(5), bench.x(7)]).toEqual([70n, 72n]);
  });

  test.each([
    // mcounteren, scounteren, mode, whether the counter is open.
    [0n, 7n, 1, false],
    [1n, 0n, 1, true],
    [1n, 0n, 0, false],
    [0n, 1n, 0, false],
    [1n, 1n, 0, true],
  ])('mcounteren %i and scounteren %i in mode %i: %s', (machine, supervisor, mode, isOpen) => {
    writeAndRead(0x306, machine);
    writeAndRead(0x106, supervisor);
    bench.set32(PRIVILEGE, mode);
    bench.runCode(csrr(5, 0xc00));
    expect(bench.get64(MCAUSE)).toBe(isOpen ? 0n : 2n);
  });
});

describe('time', () => {
  test('is counted in instructions when a run shall be replayable, and asked for otherwise', () => {
    bench.set64(TIME_BASE, 5000n);
    bench.set64(STEPS, 1234n);
    bench.runCode(csrr(5, 0xc01));
    expect(bench.x(5)).toBe(5123n);
    bench.set32(DETERMINISTIC, 0);
    bench.timeTicks = 2 ** 33 + 7;
    bench.runCode(csrr(5, 0xc01));
    expect(bench.x(5)).toBe(2n ** 33n + 7n);
  });

  test('stimecmp sets and clears the timer’s interrupt, when it is in charge', () => {
    const STIP = 1 << 5;
    bench.set32(DETERMINISTIC, 0);
    bench.timeTicks = 100;
    writeAndRead(0x14d, 50n);
    expect(bench.get32(MIP) & STIP).toBe(0);
    writeAndRead(0x30a, 1n << 63n);
    expect(bench.get32(MIP) & STIP).toBe(STIP);
    writeAndRead(0x14d, 101n);
    expect(bench.get32(MIP) & STIP).toBe(0);
    bench.timeTicks = 101;
    bench.hart.hartUpdateTimer();
    expect(bench.get32(MIP) & STIP).toBe(STIP);
    // And it is not writable then.
    expect(writeAndRead(0x344, 0n) & BigInt(STIP)).toBe(BigInt(STIP));
  });

  test('stimecmp is supervisor’s only with mcounteren.TM', () => {
    bench.set64(MENVCFG, 1n << 63n);
    bench.set32(PRIVILEGE, 1);
    bench.runCode(csrr(5, 0x14d));
    expect(bench.get64(MCAUSE)).toBe(2n);
    bench.set64(MCAUSE, 0n);
    writeAndRead(0x306, 2n);
    bench.set32(PRIVILEGE, 1);
    bench.runCode(csrr(5, 0x14d));
    expect(bench.get64(MCAUSE)).toBe(0n);
  });
});
