import { beforeEach, describe, expect, test } from 'vitest';
import {
  MCAUSE,
  MSTATUS,
  MTVAL,
  MTVEC,
  PRIVILEGE,
  SATP,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { csrr, csrrw, ld, NOP, sd } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';
import { PageTable, PTE } from './page-table.ts';

const bench = new HartBench();
const DATA = RAM_START + 0x10_0000n;
const USER = 0;
const SUPERVISOR = 1;
const MACHINE = 3;
const R = 1n;
const W = 2n;
const X = 4n;
const TOR = 1n << 3n;
const NA4 = 2n << 3n;
const NAPOT = 3n << 3n;
const L = 0x80n;

beforeEach(() => {
  bench.reset();
  bench.set64(MTVEC, RAM_START + 0x8000n);
  bench.load(RAM_START + 0x8000n, NOP);
});

/** Writes and reads a register in machine mode. */
function write(csr: number, value: bigint): bigint {
  bench.set32(PRIVILEGE, MACHINE);
  bench.setX(6, value);
  bench.runCode(csrrw(0, csr, 6), csrr(5, csr));
  return bench.x(5);
}

const setAddress = (entry: number, value: bigint) => write(0x3b0 + entry, value);

/** One byte for each entry. */
function configure(...bytes: bigint[]): bigint {
  return write(
    0x3a0,
    bytes.reduce((all, byte, index) => all | (byte << BigInt(index * 8)), 0n),
  );
}

/** A power of two of bytes from an address on. */
const range = (address: bigint, bytes: bigint) => (address >> 2n) | ((bytes >> 3n) - 1n);

function attempt(privilege: number, address: bigint, instruction: number): bigint {
  bench.set64(MCAUSE, 0n);
  bench.set32(PRIVILEGE, privilege);
  bench.setX(6, address);
  bench.runCode(instruction);
  return bench.get64(MCAUSE);
}

/** Permitted loads, stores and fetches. */
function permitted(privilege: number, address: bigint): string {
  const loads = attempt(privilege, address, ld(5, 6)) === 0n ? 'r' : '-';
  const stores = attempt(privilege, address, sd(5, 6)) === 0n ? 'w' : '-';
  bench.load(address, NOP);
  bench.set64(MCAUSE, 0n);
  bench.set32(PRIVILEGE, privilege);
  bench.pc = address;
  bench.hart.hartRun(1);
  return loads + stores + (bench.get64(MCAUSE) === 0n ? 'x' : '-');
}

test('without entries machine mode may do all, and others nothing', () => {
  expect(permitted(MACHINE, DATA)).toBe('rwx');
  for (const privilege of [USER, SUPERVISOR]) {
    expect(attempt(privilege, DATA, NOP)).toBe(1n);
  }
});

describe('with code open to all, data', () => {
  beforeEach(() => {
    // The first pages are code; they are entry 7, the last of the register.
    setAddress(7, range(RAM_START, 0x1_0000n));
  });
  const CODE = NAPOT | R | X;
  const withCode = (...bytes: bigint[]) => {
    const all = [...bytes, 0n, 0n, 0n, 0n, 0n, 0n, 0n].slice(0, 7);
    return configure(...all, CODE);
  };

  test('is permitted as the first entry that matches says', () => {
    setAddress(0, range(DATA, 0x1000n));
    setAddress(1, range(DATA, 0x4000n));
    withCode(NAPOT | R, NAPOT | R | W | X);
    for (const privilege of [USER, SUPERVISOR]) {
      expect(permitted(privilege, DATA)).toBe('r--');
      expect(permitted(privilege, DATA + 0x1000n)).toBe('rwx');
      expect(permitted(privilege, DATA + 0x3000n)).toBe('rwx');
      expect(attempt(privilege, DATA + 0x4000n, ld(5, 6))).toBe(5n);
      expect(attempt(privilege, DATA - 0x1000n, sd(5, 6))).toBe(7n);
    }
    expect(permitted(MACHINE, DATA)).toBe('rwx');
  });

  test('lies between two addresses', () => {
    setAddress(0, DATA >> 2n);
    setAddress(1, (DATA + 0x2000n) >> 2n);
    withCode(0n, TOR | R | X);
    expect(permitted(USER, DATA)).toBe('r-x');
    expect(permitted(USER, DATA + 0x1000n)).toBe('r-x');
    expect(permitted(USER, DATA + 0x2000n)).toBe('---');
    expect(permitted(USER, DATA - 0x1000n)).toBe('---');
  });

  test('binds machine mode when it is locked, and cannot be unlocked', () => {
    setAddress(0, range(DATA, 0x1000n));
    withCode(NAPOT | R | L);
    expect(permitted(MACHINE, DATA)).toBe('r--');
    expect(permitted(MACHINE, DATA + 0x1000n)).toBe('rwx');
    expect(withCode(NAPOT | R | W) & 0xffn).toBe(NAPOT | R | L);
    expect(setAddress(0, 0n)).toBe(range(DATA, 0x1000n));
  });

  test('of a locked range that ends elsewhere keeps its beginning', () => {
    setAddress(0, DATA >> 2n);
    setAddress(1, (DATA + 0x1000n) >> 2n);
    withCode(0n, TOR | R | L);
    expect(setAddress(0, 0n)).toBe(DATA >> 2n);
  });

  test('is looked at again after a change, though the TLB knew it', () => {
    setAddress(0, range(DATA, 0x1000n));
    withCode(NAPOT | R | W);
    expect(permitted(USER, DATA)).toBe('rw-');
    withCode(NAPOT | R);
    expect(permitted(USER, DATA)).toBe('r--');
    setAddress(0, range(DATA + 0x1000n, 0x1000n));
    expect(permitted(USER, DATA)).toBe('---');
  });

  test('is judged as another mode with MPRV', () => {
    setAddress(0, range(DATA, 0x1000n));
    withCode(NAPOT | R);
    bench.set64(MSTATUS, 1n << 17n);
    expect(attempt(MACHINE, DATA, sd(5, 6))).toBe(7n);
    bench.set64(MSTATUS, (1n << 17n) | (3n << 11n));
    expect(attempt(MACHINE, DATA, sd(5, 6))).toBe(0n);
  });

  test('across a border is a fault at the border', () => {
    setAddress(0, range(DATA, 0x1000n));
    withCode(NAPOT | R | W);
    expect(attempt(USER, DATA + 0xffcn, sd(5, 6))).toBe(7n);
    expect(bench.get64(MTVAL)).toBe(DATA + 0x1000n);
  });

  test('page tables must be readable', () => {
    const { V, A, D } = PTE;
    const table = new PageTable(bench);
    const flags = V | PTE.R | PTE.W | PTE.X | A | D;
    table.map(RAM_START, RAM_START, flags);
    table.map(0x1000n, DATA, flags);
    table.use();
    setAddress(0, range(DATA, 0x1000n));
    withCode(NAPOT | R | W);
    expect(attempt(SUPERVISOR, 0x1000n, ld(5, 6))).toBe(1n);
    setAddress(1, range(RAM_START + 0x40_0000n, 0x1_0000n));
    withCode(NAPOT | R | W, NAPOT | R);
    expect(attempt(SUPERVISOR, 0x1000n, ld(5, 6))).toBe(0n);
    expect(bench.get64(SATP)).not.toBe(0n);
  });
});

describe('registers', () => {
  test('the grain is 4 KiB', () => {
    expect(setAddress(0, 0xffff_ffff_ffff_ffffn)).toBe(0x3f_ffff_ffff_fc00n);
    // Below it, the address is kept, and read again when it counts.
    expect(setAddress(0, 0x2000_0123n)).toBe(0x2000_0000n);
    configure(NAPOT);
    bench.runCode(csrr(5, 0x3b0));
    expect(bench.x(5)).toBe(0x2000_01ffn);
    expect(configure(NA4 | R)).toBe(NAPOT | R);
  });

  test('to write without reading is not held, nor what is reserved', () => {
    expect(configure(W | X, 0x60n | R | W)).toBe(X | ((R | W) << 8n));
  });

  test('the second eight are in pmpcfg2, and there is no odd one', () => {
    expect(write(0x3a2, (NAPOT | R) << 56n)).toBe((NAPOT | R) << 56n);
    bench.set64(MCAUSE, 0n);
    bench.runCode(csrr(5, 0x3a1));
    expect(bench.get64(MCAUSE)).toBe(2n);
  });
});
