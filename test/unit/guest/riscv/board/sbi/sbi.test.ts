import { beforeEach, describe, expect, test } from 'vitest';
import { RAM_BASE } from '../../../../../../src/guest/riscv/board/index.ts';
import {
  BoardBench,
  FakeSbiHart,
  PageWaitInterrupted,
} from '../../../../../support/riscv-board.ts';

const BASE = 0x10n;
const TIME = 0x5449_4d45n;
const IPI = 0x73_5049n;
const RFENCE = 0x5246_4e43n;
const HSM = 0x48_534dn;
const SRST = 0x5352_5354n;
const DBCN = 0x4442_434en;
const ALL = 2n ** 64n - 1n;

describe('Sbi', () => {
  let bench: BoardBench;
  beforeEach(() => {
    bench = new BoardBench({}, undefined, 32);
  });

  /** [outcome, error, value] */
  const call = (extension: bigint, functionId: bigint, ...rest: bigint[]) => {
    const hart = new FakeSbiHart(extension, functionId, ...rest);
    return [bench.ecall(hart), hart.error, hart.value];
  };
  const legacy = (extension: bigint, ...rest: bigint[]) => {
    const hart = new FakeSbiHart(extension, 0n, ...rest);
    return [bench.ecall(hart), hart.error];
  };

  test('BASE tells version, implementation and what there is', () => {
    expect(call(BASE, 0n)).toEqual(['done', 0n, 0x0200_0000n]);
    expect(call(BASE, 1n)).toEqual(['done', 0n, 0x53_7465_726en]);
    for (const known of [BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, 0n, 1n, 2n, 8n]) {
      expect(call(BASE, 3n, known), `extension ${known}`).toEqual(['done', 0n, 1n]);
    }
    for (const unknown of [3n, 4n, 9n, 0x504d_55n, ALL]) {
      expect(call(BASE, 3n, unknown), `extension ${unknown}`).toEqual(['done', 0n, 0n]);
    }
    for (const id of [4n, 5n, 6n]) expect(call(BASE, id)).toEqual(['done', 0n, 0n]);
  });

  test.each([
    ['an extension', 0x504d_55n, 0n],
    ['an extension far away', ALL, ALL],
    ['a function of BASE', BASE, 7n],
    ['a function of BASE far away', BASE, ALL],
    ['a function of TIME', TIME, 1n],
    ['a function of IPI', IPI, 1n],
    ['a fence of a hypervisor', RFENCE, 3n],
    ['a function of HSM', HSM, 4n],
    ['a function of SRST', SRST, 1n],
    ['a function of DBCN', DBCN, 3n],
  ])('%s that is not there is not supported', (_, extension, functionId) => {
    expect(call(extension, functionId)).toEqual(['done', -2n, 0n]);
  });

  test('TIME and its legacy set the timer', () => {
    for (const extension of [TIME, 0n]) {
      const hart = new FakeSbiHart(extension, 0n, 12345n);
      expect(bench.ecall(hart)).toBe('done');
      expect([hart.timer, hart.error]).toEqual([12345n, 0n]);
    }
  });

  test('IPI sets the software interrupt of the harts, and wakes them', () => {
    bench = new BoardBench({ hartCount: 3 });
    expect(call(IPI, 0n, 0b11n, 1n)).toEqual(['done', 0n, 0n]);
    expect([...bench.mips]).toEqual([0, 2, 2]);
    expect(bench.woken).toEqual([1, 2]);
    expect(call(IPI, 0n, 0n, ALL)).toEqual(['done', 0n, 0n]);
    expect([...bench.mips]).toEqual([2, 2, 2]);
    expect(call(IPI, 0n, 1n, 3n)).toEqual(['done', -3n, 0n]);
    expect(call(IPI, 0n, 0b1000n, 0n)).toEqual(['done', -3n, 0n]);
  });

  test('RFENCE is a flush of the caller', () => {
    for (const id of [0n, 1n, 2n]) {
      expect(call(RFENCE, id, 1n, 0n)).toEqual(['flush', 0n, 0n]);
      expect(call(RFENCE, id, 0n, ALL)).toEqual(['flush', 0n, 0n]);
      expect(call(RFENCE, id, 0n, 0n)).toEqual(['done', 0n, 0n]);
      expect(call(RFENCE, id, 2n, 0n)).toEqual(['done', -3n, 0n]);
    }
    const two = new BoardBench({ hartCount: 2 });
    const hart = new FakeSbiHart(RFENCE, 0n, 3n, 0n);
    expect([two.ecall(hart), hart.error]).toEqual(['done', -2n]);
    for (const extension of [5n, 6n, 7n]) expect(legacy(extension)).toEqual(['flush', 0n]);
  });

  test('HSM has harts that run', () => {
    expect(call(HSM, 2n, 0n)).toEqual(['done', 0n, 0n]);
    expect(call(HSM, 2n, 1n)).toEqual(['done', -3n, 0n]);
    expect(call(HSM, 0n, 0n, BigInt(RAM_BASE))).toEqual(['done', -6n, 0n]);
    expect(call(HSM, 0n, 1n, BigInt(RAM_BASE))).toEqual(['done', -3n, 0n]);
    expect(call(HSM, 1n)).toEqual(['done', -1n, 0n]);
    expect(call(HSM, 3n, 0n)).toEqual(['done', 0n, 0n]);
    expect(call(HSM, 3n, 0x8000_0000n)).toEqual(['done', -2n, 0n]);
    expect(call(HSM, 3n, 5n)).toEqual(['done', -3n, 0n]);
  });

  test.each([
    [0n, 0n, { kind: 'power-off' }],
    [0n, 1n, { kind: 'fail', exitCode: 1 }],
    [1n, 0n, { kind: 'reset' }],
    [2n, 0n, { kind: 'reset' }],
  ])('SRST %i for reason %i is an event', (type, reason, event) => {
    call(SRST, 0n, type, reason);
    expect(bench.events).toEqual([event]);
    expect(bench.board.event).toEqual(event);
  });

  test('SRST refuses what it does not know', () => {
    expect(call(SRST, 0n, 3n, 0n)).toEqual(['done', -3n, 0n]);
    expect(call(SRST, 0n, 0n, 2n)).toEqual(['done', -3n, 0n]);
    expect(bench.events).toEqual([]);
  });

  test('the legacy shutdown powers off', () => {
    legacy(8n);
    expect(bench.events).toEqual([{ kind: 'power-off' }]);
    expect(legacy(3n)).toEqual(['done', -2n]);
  });

  test('the legacy console prints and reads, and leaves a1 alone', () => {
    for (const byte of Buffer.from('ok\n')) legacy(1n, BigInt(byte), 77n);
    expect(bench.printed()).toBe('ok\n');
    expect(legacy(2n)).toEqual(['done', -1n]);
    bench.type('a');
    const hart = new FakeSbiHart(2n, 0n, 0n, 77n);
    bench.ecall(hart);
    expect([hart.error, hart.value]).toEqual([97n, 77n]);
  });

  test('a character that finds no room is repeated later', () => {
    for (const extension of [1n, DBCN]) {
      bench.printed();
      bench.output.push(Buffer.from('x'.repeat(32)));
      const hart = new FakeSbiHart(extension, 2n, 0x41n);
      const before = [...hart.registers];
      expect(bench.ecall(hart)).toBe('retry');
      expect(hart.registers).toEqual(before);
      bench.output.pull(1);
      expect(bench.ecall(hart)).toBe('done');
      expect(bench.printed()).toBe(`${'x'.repeat(31)}A`);
    }
  });

  test('DBCN prints from RAM as much as there is room for', () => {
    bench.ram.bytes.set(Buffer.from('0123456789'.repeat(4)), 4090);
    const gpa = BigInt(RAM_BASE + 4090);
    expect(call(DBCN, 0n, 10n, gpa)).toEqual(['done', 0n, 10n]);
    expect(call(DBCN, 0n, 40n, gpa)).toEqual(['done', 0n, 22n]);
    expect(bench.printed()).toBe('01234567890123456789012345678901');
    expect(call(DBCN, 0n, 0n, gpa)).toEqual(['done', 0n, 0n]);
  });

  test('DBCN reads into RAM what was typed', () => {
    bench.input.push(Buffer.from('typed text'));
    const gpa = BigInt(RAM_BASE + 4090);
    expect(call(DBCN, 1n, 8n, gpa)).toEqual(['done', 0n, 8n]);
    expect(Buffer.from(bench.ram.bytes.subarray(4090, 4100)).toString()).toBe('typed te\0\0');
    expect([...bench.ram.dirty]).toEqual([0, 1]);
    expect(call(DBCN, 1n, 8n, gpa)).toEqual(['done', 0n, 2n]);
    expect(call(DBCN, 1n, 8n, gpa)).toEqual(['done', 0n, 0n]);
  });

  test('DBCN waits for its pages first, and then does it once', () => {
    bench.ram.bytes.set(Buffer.from('text'), 4094);
    for (const page of [0, 1]) bench.ram.missing.add(page);
    const hart = new FakeSbiHart(DBCN, 0n, 4n, BigInt(RAM_BASE + 4094));
    expect(() => bench.ecall(hart)).toThrow(PageWaitInterrupted);
    expect(() => bench.ecall(hart)).toThrow(PageWaitInterrupted);
    expect(bench.ecall(hart)).toBe('done');
    expect(bench.printed()).toBe('text');

    bench.input.push(Buffer.from('abc'));
    bench.ram.missing.add(1);
    const reader = new FakeSbiHart(DBCN, 1n, 3n, BigInt(RAM_BASE + 4096));
    expect(() => bench.ecall(reader)).toThrow(PageWaitInterrupted);
    expect(bench.ecall(reader)).toBe('done');
    expect(reader.value).toBe(3n);
  });

  test.each([
    ['below RAM', 4n, 0x1000n, 0n],
    ['across the end of RAM', 4n, 0x800f_fffdn, 0n],
    ['beyond 2^64', 4n, BigInt(RAM_BASE), 1n],
    ['that is longer than RAM', ALL, BigInt(RAM_BASE), 0n],
    ['far away', 1n, ALL, 0n],
  ])('DBCN refuses a text %s', (_, length, low, high) => {
    expect(call(DBCN, 0n, length, low, high)).toEqual(['done', -3n, 0n]);
    expect(call(DBCN, 1n, length, low, high)).toEqual(['done', -3n, 0n]);
  });
});
