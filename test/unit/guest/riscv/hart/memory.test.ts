import { beforeEach, describe, expect, test } from 'vitest';
import {
  MCAUSE,
  MEPC,
  MTVAL,
  MTVEC,
  STEPS,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { HART_STOP } from '../../../../../src/guest/riscv/hart-module.ts';
import { addi, ld, load, NOP, sd, store, sw } from './assembler.ts';
import { DEVICE, HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const DATA = RAM_START + 0x10_0000n;
const HANDLER = RAM_START + 0x8000n;
const BYTES = 0x8877_6655_4433_2211n;

beforeEach(() => {
  bench.reset();
  bench.set64(MTVEC, HANDLER);
});

/** funct3 of loads, their width, whether they sign-extend. */
const LOADS: readonly [string, number, number, boolean][] = [
  ['lb', 0, 1, true],
  ['lh', 1, 2, true],
  ['lw', 2, 4, true],
  ['ld', 3, 8, true],
  ['lbu', 4, 1, false],
  ['lhu', 5, 2, false],
  ['lwu', 6, 4, false],
];
const STORES: readonly [string, number, number][] = [
  ['sb', 0, 1],
  ['sh', 1, 2],
  ['sw', 2, 4],
  ['sd', 3, 8],
];
/** In a page at every alignment, at its end, and across it. */
const OFFSETS = [0, 1, 2, 3, 4, 5, 6, 7, 0xff8, 0xff9, 0xffa, 0xffb, 0xffc, 0xffd, 0xffe, 0xfff];

function bytesAt(address: bigint, count: number): bigint {
  let value = 0n;
  for (let index = 0; index < count; index += 1) {
    value |= BigInt(bench.ram8(address + BigInt(index))) << BigInt(index * 8);
  }
  return value;
}

describe('loads, at any alignment', () => {
  test.each(LOADS)('%s', (_, funct3, bytes, isSigned) => {
    for (let at = 0n; at < 0x2000n; at += 8n) bench.setRam64(DATA + at, BYTES ^ (at * 0x1_0101n));
    for (const offset of OFFSETS) {
      bench.setX(6, DATA + BigInt(offset) + 16n);
      const raw = bytesAt(DATA + BigInt(offset), bytes);
      const wanted = isSigned ? BigInt.asIntN(bytes * 8, raw) : raw;
      // The second one finds the page in the TLB.
      bench.runCode(load(funct3, 5, 6, -16), load(funct3, 7, 6, -16));
      expect(bench.x(5)).toBe(BigInt.asUintN(64, wanted));
      expect(bench.x(7)).toBe(BigInt.asUintN(64, wanted));
    }
  });
});

describe('stores, at any alignment', () => {
  test.each(STORES)('%s', (_, funct3, bytes) => {
    for (const offset of OFFSETS) {
      const at = DATA + BigInt(offset);
      for (const value of [0xdead_beef_0bad_cafen, 0x0123_4567_89ab_cdefn]) {
        bench.setRam64(DATA + (BigInt(offset) & ~7n) + 8n, 0n);
        bench.setRam64(DATA + (BigInt(offset) & ~7n), 0n);
        bench.setX(6, at);
        bench.setX(5, value);
        bench.runCode(store(funct3, 5, 6));
        expect(bytesAt(at, bytes)).toBe(BigInt.asUintN(bytes * 8, value));
        expect(bytesAt(at + BigInt(bytes), 4)).toBe(0n);
      }
    }
  });
});

describe('dirty pages', () => {
  test('a store marks its page, in the map that is in use', () => {
    bench.setX(6, DATA);
    bench.runCode(ld(5, 6), NOP);
    expect(bench.isDirty(0x100)).toBe(false);
    bench.runCode(sd(5, 6));
    expect(bench.isDirty(0x100)).toBe(true);
    bench.selectMap(1);
    bench.runCode(ld(5, 6));
    expect(bench.isDirty(0x100)).toBe(false);
    bench.runCode(sd(5, 6), sd(5, 6));
    expect(bench.isDirty(0x100)).toBe(true);
  });

  test('a store across pages marks both', () => {
    bench.setX(6, DATA + 0xffcn);
    bench.runCode(sd(5, 6));
    expect([bench.isDirty(0x100), bench.isDirty(0x101), bench.isDirty(0x102)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('a missing page', () => {
  const ACCESSES: readonly [string, number, bigint, number][] = [
    ['load', ld(5, 6), DATA, 0x100],
    ['store', sd(7, 6), DATA, 0x100],
    ['load across pages, first', ld(5, 6), DATA + 0xffcn, 0x100],
    ['load across pages, second', ld(5, 6), DATA + 0xffcn, 0x101],
    ['store across pages, first', sd(7, 6), DATA + 0xffcn, 0x100],
    ['store across pages, second', sd(7, 6), DATA + 0xffcn, 0x101],
    ['atomic addition', 0x0073_33af, DATA, 0x100],
    ['load-reserved', 0x1003_32af, DATA, 0x100],
  ];
  test.each(ACCESSES)('%s: nothing happens before it comes', (_, instruction, address, pfn) => {
    bench.load(RAM_START, NOP, instruction, addi(9, 9, 1));
    for (let at = 0n; at < 0x2000n; at += 8n) bench.setRam64(DATA + at, BYTES);
    bench.setX(5, 0x55n);
    bench.setX(6, address);
    bench.setX(7, 1n);
    bench.lose(pfn);
    bench.missingAnswers.push(0, 0, 1);
    for (const executed of [1, 0]) {
      expect(bench.hart.hartRun(10)).toBe(executed);
      expect(bench.hart.hartStopReason()).toBe(HART_STOP.interrupted);
      expect([bench.pc, bench.x(5), bench.x(9)]).toEqual([RAM_START + 4n, 0x55n, 0n]);
      expect(bench.get64(STEPS)).toBe(1n);
      for (let at = 0n; at < 0x2000n; at += 8n) expect(bench.ram64(DATA + at)).toBe(BYTES);
      expect([bench.isDirty(0x100), bench.isDirty(0x101)]).toEqual([false, false]);
    }
    expect(bench.hart.hartRun(2)).toBe(2);
    expect(bench.hart.hartStopReason()).toBe(HART_STOP.budget);
    expect(bench.missingAsked).toEqual([pfn, pfn, pfn]);
    expect(bench.x(9)).toBe(1n);
    expect([bench.pc, bench.get64(STEPS)]).toEqual([RAM_START + 12n, 3n]);
  });

  test('of code', () => {
    bench.load(RAM_START, addi(5, 5, 1));
    bench.lose(0);
    bench.missingAnswers.push(0);
    expect(bench.hart.hartRun(1)).toBe(0);
    expect(bench.hart.hartStopReason()).toBe(HART_STOP.interrupted);
    expect(bench.hart.hartRun(1)).toBe(1);
    expect([bench.x(5), bench.missingAsked]).toEqual([1n, [0, 0]]);
  });

  test('of the second half of an instruction', () => {
    bench.load(RAM_START + 0xffan, 0x0001, 0x0001, addi(5, 5, 1), addi(5, 5, 1));
    bench.pc = RAM_START + 0xffan;
    bench.lose(1);
    bench.missingAnswers.push(0);
    expect(bench.hart.hartRun(4)).toBe(2);
    expect([bench.pc, bench.x(5)]).toEqual([RAM_START + 0xffen, 0n]);
    expect(bench.hart.hartRun(2)).toBe(2);
    expect(bench.x(5)).toBe(2n);
  });

  test('is asked for again after post-copy begins, though it was used before', () => {
    bench.setX(6, DATA);
    bench.runCode(ld(5, 6), sd(5, 6));
    bench.lose(0x100);
    bench.runCode(ld(5, 6));
    expect(bench.missingAsked).toEqual([0x100]);
  });
});

describe('devices', () => {
  test.each(LOADS)('%s reads what the device says, extended', (_, funct3, bytes, isSigned) => {
    bench.setX(6, BigInt(DEVICE) + 8n);
    bench.runCode(load(funct3, 5, 6));
    const low = 0x8877_665dn;
    const raw = bytes === 8 ? low | (0x8877_6661n << 32n) : BigInt.asUintN(bytes * 8, low);
    const wanted = isSigned ? BigInt.asIntN(bytes * 8, raw) : raw;
    expect(bench.x(5)).toBe(BigInt.asUintN(64, wanted));
    expect(bench.accesses.map(({ bytes: width }) => width)).toEqual(bytes === 8 ? [4, 4] : [bytes]);
  });

  test.each(STORES)('%s writes', (_, funct3, bytes) => {
    bench.setX(6, BigInt(DEVICE) + 0x10n);
    bench.setX(5, BYTES);
    bench.runCode(store(funct3, 5, 6));
    const write = { kind: 'write', address: DEVICE + 0x10, bytes: Math.min(bytes, 4) };
    const value = Number(BigInt.asUintN(Math.min(bytes, 4) * 8, BYTES));
    const seen = bench.accesses.map((access) => ({
      ...access,
      value: Number(BigInt.asUintN(access.bytes * 8, BigInt(access.value ?? 0))),
    }));
    expect(seen).toEqual([
      { ...write, value },
      ...(bytes === 8 ? [{ ...write, address: DEVICE + 0x14, value: 0x8877_6655 }] : []),
    ]);
  });

  test.each([
    ['misaligned', lw4(1), BigInt(DEVICE), 5n, 1n],
    ['beyond the last register', lw4(0), BigInt(DEVICE) + 0x100n, 5n, 0n],
    ['of 8 bytes, where only 4 are', ld(5, 6), BigInt(DEVICE) + 0xf8n, 5n, 0n],
    ['where nothing is', sw(5, 6), 0x2000_0000n, 7n, 0n],
    ['above 4 GiB', sw(5, 6), 0x1_1000_0000n, 7n, 0n],
    ['behind RAM', ld(5, 6), RAM_START + 0x100_0000n, 5n, 0n],
    ['across the end of RAM', ld(5, 6), RAM_START + 0xff_fffcn, 5n, 4n],
  ])('an access %s is a fault', (_, instruction, address, cause, beyond) => {
    bench.setX(6, address);
    bench.runCode(instruction);
    expect([bench.get64(MCAUSE), bench.get64(MTVAL), bench.get64(MEPC), bench.pc]).toEqual([
      cause,
      address + beyond,
      RAM_START,
      HANDLER,
    ]);
    expect(bench.accesses).toEqual([]);
  });

  test('a stop that is asked for inside of an access follows it', () => {
    bench.setX(6, BigInt(DEVICE));
    bench.load(RAM_START, NOP, sw(5, 6), NOP, NOP);
    bench.onDevice = () => bench.hart.hartRequestStop();
    expect(bench.hart.hartRun(100)).toBe(2);
    expect([bench.hart.hartStopReason(), bench.pc]).toEqual([HART_STOP.asked, RAM_START + 8n]);
    bench.onDevice = undefined;
    expect(bench.hart.hartRun(2)).toBe(2);
    expect(bench.hart.hartStopReason()).toBe(HART_STOP.budget);
  });
});

function lw4(offset: number): number {
  return load(2, 5, 6, offset);
}
