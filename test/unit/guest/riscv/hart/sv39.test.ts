import { beforeEach, describe, expect, test } from 'vitest';
import {
  MCAUSE,
  MEPC,
  MSTATUS,
  MTVAL,
  MTVEC,
  PMPADDR,
  PMPCFG,
  PRIVILEGE,
  SATP,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { HART_STOP } from '../../../../../src/guest/riscv/hart-module.ts';
import { addi, amo, csrrw, ld, NOP, sd, sfenceVma } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';
import { PageTable, PTE } from './page-table.ts';

const bench = new HartBench();
const { V, R, W, X, U, G, A, D } = PTE;
const USER = 0;
const SUPERVISOR = 1;
const SUM = 1n << 18n;
const MXR = 1n << 19n;
const MPRV = 1n << 17n;
const CODE = RAM_START;
/** Code runs here in either mode: two mappings of the same page. */
const USER_CODE = 0x1_0000n;
const SUPERVISOR_CODE = 0xffff_ffc0_0000_0000n;
const ADDRESS = 0x40_2000n;
const FRAME = RAM_START + 0x10_0000n;
const HANDLER = RAM_START + 0x8000n;
const FETCH_FAULT = 12n;
const LOAD_FAULT = 13n;
const STORE_FAULT = 15n;
let table: PageTable;

beforeEach(() => {
  bench.reset();
  bench.set64(PMPADDR, 0x3f_ffff_ffff_ffffn);
  bench.set32(PMPCFG, 0x1f);
  bench.set64(MTVEC, HANDLER);
  bench.load(HANDLER, NOP);
  table = new PageTable(bench);
  table.map(USER_CODE, CODE, V | R | X | U | A);
  table.map(SUPERVISOR_CODE, CODE, V | R | W | X | A | D | G);
  table.use();
});

/** Runs instructions in a mode, with x6 the address. The cause of the trap, or 0. */
function attempt(privilege: number, address: bigint, ...code: number[]): bigint {
  bench.set64(MCAUSE, 0n);
  bench.set32(PRIVILEGE, privilege);
  bench.setX(6, address);
  bench.load(CODE, ...code);
  bench.hart.hartFlushCode();
  bench.pc = privilege === USER ? USER_CODE : SUPERVISOR_CODE;
  bench.hart.hartRun(code.length);
  return bench.get64(MCAUSE);
}

function fetchAt(privilege: number, address: bigint): bigint {
  bench.load(FRAME, NOP);
  bench.set64(MCAUSE, 0n);
  bench.set32(PRIVILEGE, privilege);
  bench.pc = address;
  bench.hart.hartRun(1);
  return bench.get64(MCAUSE);
}

const LOAD = ld(5, 6);
const STORE = sd(5, 6);

describe('permissions', () => {
  const ALL = V | R | W | X | A | D;
  test.each([
    // Flags, mode, status: fetch, load and store permitted.
    ['user page, user', ALL | U, USER, 0n, [true, true, true]],
    ['user page, supervisor', ALL | U, SUPERVISOR, 0n, [false, false, false]],
    ['user page, supervisor with SUM', ALL | U, SUPERVISOR, SUM, [false, true, true]],
    ['supervisor page, user', ALL, USER, SUM, [false, false, false]],
    ['supervisor page', ALL, SUPERVISOR, 0n, [true, true, true]],
    ['read only', V | R | A | D, SUPERVISOR, 0n, [false, true, false]],
    ['execute only', V | X | A | D, SUPERVISOR, 0n, [true, false, false]],
    ['execute only with MXR', V | X | A | D, SUPERVISOR, MXR, [true, true, false]],
    ['not valid', ALL & ~V, SUPERVISOR, 0n, [false, false, false]],
    ['writable, not readable', V | W | X | A | D, SUPERVISOR, MXR, [false, false, false]],
    ['a pointer at the last level', V, SUPERVISOR, 0n, [false, false, false]],
    ['N', ALL | (1n << 63n), SUPERVISOR, 0n, [false, false, false]],
    ['PBMT', ALL | (1n << 61n), SUPERVISOR, 0n, [false, false, false]],
    ['reserved', ALL | (1n << 54n), SUPERVISOR, 0n, [false, false, false]],
  ] as const)('%s', (_, flags, privilege, status, [fetches, loads, stores]) => {
    table.map(ADDRESS, FRAME, flags);
    bench.set64(MSTATUS, status);
    // Twice: the second time what is permitted is in the TLB.
    for (let time = 0; time < 2; time += 1) {
      expect(fetchAt(privilege, ADDRESS)).toBe(fetches ? 0n : FETCH_FAULT);
      expect(attempt(privilege, ADDRESS, LOAD)).toBe(loads ? 0n : LOAD_FAULT);
      expect(attempt(privilege, ADDRESS, STORE)).toBe(stores ? 0n : STORE_FAULT);
      if (!stores) expect(bench.get64(MTVAL)).toBe(ADDRESS);
      expect(attempt(privilege, ADDRESS, amo(0, 5, 6, 5))).toBe(stores ? 0n : STORE_FAULT);
      expect(attempt(privilege, ADDRESS, amo(2, 5, 6, 0))).toBe(loads ? 0n : LOAD_FAULT);
    }
  });

  test('change with SUM, MXR and MPRV at once', () => {
    table.map(ADDRESS, FRAME, V | X | U | A | D);
    bench.set64(MSTATUS, 0n);
    bench.setX(7, SUM | MXR);
    bench.setX(8, SUM);
    const code = [csrrw(0, 0x100, 7), LOAD, csrrw(0, 0x100, 8), LOAD];
    expect(attempt(SUPERVISOR, ADDRESS, ...code)).toBe(LOAD_FAULT);
    expect(bench.get64(MEPC)).toBe(SUPERVISOR_CODE + 12n);
    // Machine mode as user: what users may not, and then as itself.
    bench.set64(MSTATUS, MPRV);
    bench.set32(PRIVILEGE, 3);
    bench.set64(MCAUSE, 0n);
    bench.setX(6, SUPERVISOR_CODE);
    bench.runCode(LOAD);
    expect(bench.get64(MCAUSE)).toBe(LOAD_FAULT);
  });
});

test('addresses reach their frames, in the lower and the upper half', () => {
  for (const address of [0n, ADDRESS, 0x3f_ffff_f000n, 0xffff_ffff_ffff_f000n]) {
    table.map(address, FRAME, V | R | W | A | D);
    table.use();
    bench.setRam64(FRAME + 0x128n, address + 5n);
    expect(attempt(SUPERVISOR, address + 0x128n, LOAD)).toBe(0n);
    expect(bench.x(5)).toBe(address + 5n);
  }
});

test('an address that is not sign-extended is a page fault', () => {
  table.map(0n, FRAME, V | R | W | A | D);
  for (const address of [0x40_0000_0000n, 1n << 39n, 0xffff_ff00_0000_0000n, 1n << 63n]) {
    expect(attempt(SUPERVISOR, address, LOAD)).toBe(LOAD_FAULT);
    expect(bench.get64(MTVAL)).toBe(address);
  }
});

describe('A and D', () => {
  test.each([
    ['a load sets A', LOAD, A],
    ['a store sets both', STORE, A | D],
    ['an atomic sets both', amo(0, 5, 6, 5), A | D],
    ['lr sets A', amo(2, 5, 6, 0), A],
  ])('%s, and marks the table’s page dirty', (_, instruction, set) => {
    const entry = table.map(ADDRESS, FRAME, V | R | W | X | G);
    const pfn = Number((entry - RAM_START) / 4096n);
    expect(attempt(SUPERVISOR, ADDRESS, NOP)).toBe(0n);
    expect(bench.isDirty(pfn)).toBe(false);
    expect(attempt(SUPERVISOR, ADDRESS, instruction)).toBe(0n);
    expect(table.flags(ADDRESS)).toBe(V | R | W | X | G | set);
    expect(bench.isDirty(pfn)).toBe(true);
  });

  test('a fetch sets A, a store after a load D', () => {
    table.map(ADDRESS, FRAME, V | R | W | X);
    expect(fetchAt(SUPERVISOR, ADDRESS)).toBe(0n);
    expect(table.flags(ADDRESS)).toBe(V | R | W | X | A);
    expect(attempt(SUPERVISOR, ADDRESS, LOAD, STORE)).toBe(0n);
    expect(table.flags(ADDRESS)).toBe(V | R | W | X | A | D);
  });

  test('what faults sets nothing', () => {
    table.map(ADDRESS, FRAME, V | R);
    expect(attempt(SUPERVISOR, ADDRESS, STORE)).toBe(STORE_FAULT);
    expect(table.flags(ADDRESS)).toBe(V | R);
    // The first page of a store that fails in its second one.
    table.map(ADDRESS, FRAME, V | R | W);
    expect(attempt(SUPERVISOR, ADDRESS + 0xffcn, STORE)).toBe(STORE_FAULT);
    expect(bench.get64(MTVAL)).toBe(ADDRESS + 0x1000n);
    expect(table.flags(ADDRESS)).toBe(V | R | W);
  });
});

describe('larger pages', () => {
  test.each([
    [1, 0x20_0000n],
    [2, 0x4000_0000n],
  ])('of level %i', (level, bytes) => {
    const address = 0x80_0000_0000n - 0x40_0000_0000n - bytes;
    table.map(address, RAM_START, V | R | W, level);
    bench.setRam64(RAM_START + 0x12_3458n, 77n);
    expect(attempt(SUPERVISOR, address + 0x12_3458n, LOAD)).toBe(0n);
    expect(bench.x(5)).toBe(77n);
    expect(table.flags(address, level)).toBe(V | R | W | A);
    expect(attempt(SUPERVISOR, address + bytes - 8n, LOAD)).toBe(level === 1 ? 0n : 5n);
  });

  test.each([1, 2])('a misaligned one of level %i is a page fault', (level) => {
    table.map(ADDRESS, RAM_START + 0x1000n, V | R | W | A | D, level);
    expect(attempt(SUPERVISOR, ADDRESS, LOAD)).toBe(LOAD_FAULT);
    expect(attempt(SUPERVISOR, ADDRESS, STORE)).toBe(STORE_FAULT);
    expect(fetchAt(SUPERVISOR, ADDRESS)).toBe(FETCH_FAULT);
  });

  test.each([A, D, U])('a pointer with flag %i is a page fault', (flag) => {
    table.map(ADDRESS, FRAME, V | R | W | A | D);
    const entry = table.entry(ADDRESS, 1);
    bench.setRam64(entry, bench.ram64(entry) | flag);
    expect(attempt(SUPERVISOR, ADDRESS, LOAD)).toBe(LOAD_FAULT);
  });
});

test('a table outside of RAM is an access fault of the access', () => {
  bench.setRam64(table.entry(ADDRESS, 1), (0x1000n << 10n) | V);
  expect(attempt(SUPERVISOR, ADDRESS, LOAD)).toBe(5n);
  expect(attempt(SUPERVISOR, ADDRESS, STORE)).toBe(7n);
  expect(fetchAt(SUPERVISOR, ADDRESS)).toBe(1n);
  expect(bench.get64(MTVAL)).toBe(ADDRESS);
});

describe('what the TLB remembers', () => {
  /** Maps another frame behind the TLB's back, executes `fence`, and loads. */
  function remap(flags: bigint, level: number, fence: readonly number[]): bigint {
    const bytes = 1n << BigInt(12 + 9 * level);
    const other = RAM_START + 0x80_0000n;
    const address = ADDRESS & ~(bytes - 1n);
    bench.setRam64(RAM_START + 0x60_0000n + 8n, 1n);
    bench.setRam64(other + 8n, 2n);
    bench.setX(9, address + (level === 0 ? 0n : 0x5000n));
    bench.setX(8, bench.get64(SATP) ^ (1n << 44n));
    table.map(address, RAM_START + 0x60_0000n, flags, level);
    table.use();
    expect(attempt(SUPERVISOR, address + 8n, LOAD)).toBe(0n);
    expect(bench.x(5)).toBe(1n);
    table.map(address, other, flags, level);
    expect(attempt(SUPERVISOR, address + 8n, ...fence, LOAD)).toBe(0n);
    return bench.x(5);
  }
  const LOCAL = V | R | W | A | D;

  test.each([
    ['sfence.vma', [sfenceVma()]],
    ['sfence.vma of a space', [sfenceVma(0, 10)]],
    ['sfence.vma of the address', [sfenceVma(9)]],
    ['sfence.vma of the address in a space', [sfenceVma(9, 10)]],
    ['another space in satp', [csrrw(0, 0x180, 8)]],
  ])('%s makes it look again', (_, fence) => {
    expect(remap(LOCAL, 0, fence)).toBe(2n);
  });

  test('an address fences the whole of a larger page', () => {
    expect(remap(LOCAL, 1, [sfenceVma(9)])).toBe(2n);
  });

  test('global mappings outlive a space, but not a fence of all or of the address', () => {
    expect(remap(LOCAL | G, 0, [sfenceVma()])).toBe(2n);
    expect(remap(LOCAL | G, 0, [sfenceVma(9)])).toBe(2n);
    expect(remap(LOCAL | G, 0, [csrrw(0, 0x180, 8)])).toBe(1n);
  });
});

describe('a missing page', () => {
  test('of the tables, and then of the data, leaves no trace of the access', () => {
    const entry = table.map(ADDRESS, FRAME, V | R | W);
    const pfn = Number((entry - RAM_START) / 4096n);
    bench.lose(pfn, 0x100);
    bench.missingAnswers.push(0, 1, 0);
    expect(attempt(SUPERVISOR, ADDRESS, NOP, STORE)).toBe(0n);
    expect(bench.hart.hartStopReason()).toBe(HART_STOP.interrupted);
    expect(bench.pc).toBe(SUPERVISOR_CODE + 4n);
    expect(bench.hart.hartRun(1)).toBe(0);
    expect(bench.missingAsked).toEqual([pfn, pfn, 0x100]);
    expect(table.flags(ADDRESS)).toBe(V | R | W);
    expect([bench.isDirty(pfn), bench.isDirty(0x100)]).toEqual([false, false]);
    expect(bench.hart.hartRun(1)).toBe(1);
    expect(table.flags(ADDRESS)).toBe(V | R | W | A | D);
    expect([bench.isDirty(pfn), bench.isDirty(0x100)]).toEqual([true, true]);
  });
});

test('an instruction whose second half faults names that page, and itself', () => {
  table.map(ADDRESS, FRAME, V | R | X | A);
  bench.load(FRAME + 0xffen, addi(5, 5, 1));
  expect(fetchAt(SUPERVISOR, ADDRESS + 0xffen)).toBe(FETCH_FAULT);
  expect([bench.get64(MTVAL), bench.get64(MEPC)]).toEqual([ADDRESS + 0x1000n, ADDRESS + 0xffen]);
  // It is the next page of the mapping, not of RAM, that it goes on in.
  bench.load(FRAME + 0xffen, addi(5, 5, 1));
  table.map(ADDRESS + 0x1000n, FRAME + 0x5000n, V | R | X | A);
  bench.setRam64(FRAME + 0x5000n, BigInt(addi(5, 5, 1) >>> 16));
  expect(fetchAt(SUPERVISOR, ADDRESS + 0xffen)).toBe(0n);
  expect(bench.x(5)).toBe(1n);
});

test('code that is mapped twice is one code', () => {
  table.map(ADDRESS, FRAME, V | R | X | A);
  table.map(ADDRESS + 0x1000n, FRAME, V | R | X | A);
  bench.load(FRAME, addi(5, 5, 1));
  bench.set32(PRIVILEGE, SUPERVISOR);
  for (const address of [ADDRESS, ADDRESS + 0x1000n]) {
    bench.pc = address;
    bench.hart.hartRun(1);
    expect(bench.pc).toBe(address + 4n);
  }
  expect(bench.x(5)).toBe(2n);
});
