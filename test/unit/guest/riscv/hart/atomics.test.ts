import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  MCAUSE,
  MTVAL,
  RESERVATION_BYTES,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { amo, sd, sw } from './assembler.ts';
import { DEVICE, HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const DATA = RAM_START + 0x10_0000n;
const LR = 2;
const SC = 3;

beforeEach(() => bench.reset());

const signed = (value: bigint, bits: number) => BigInt.asIntN(bits, value);
const smaller = (a: bigint, b: bigint) => (a < b ? a : b);
const larger = (a: bigint, b: bigint) => (a > b ? a : b);

/** funct5, and what is stored; operands are unsigned of the given width. */
const OPERATIONS: readonly [string, number, (a: bigint, b: bigint, bits: number) => bigint][] = [
  ['amoadd', 0, (a, b) => a + b],
  ['amoswap', 1, (_, b) => b],
  ['amoxor', 4, (a, b) => a ^ b],
  ['amoor', 8, (a, b) => a | b],
  ['amoand', 12, (a, b) => a & b],
  ['amomin', 16, (a, b, bits) => smaller(signed(a, bits), signed(b, bits))],
  ['amomax', 20, (a, b, bits) => larger(signed(a, bits), signed(b, bits))],
  ['amominu', 24, smaller],
  ['amomaxu', 28, larger],
];

describe.each([4, 8])('of %i bytes', (bytes) => {
  const bits = bytes * 8;
  const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  test.each(OPERATIONS)('%s', (_, funct5, reference) => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        bench.setRam64(DATA, a);
        bench.setX(6, DATA);
        bench.setX(7, b);
        bench.runCode(amo(funct5, 5, 6, 7, bytes));
        const narrow = (value: bigint) => BigInt.asUintN(bits, value);
        const stored = narrow(reference(narrow(a), narrow(b), bits));
        expect(bench.x(5)).toBe(BigInt.asUintN(64, signed(a, bits)));
        expect(bench.ram64(DATA)).toBe(bytes === 8 ? stored : ((a >> 32n) << 32n) | stored);
      }),
      { numRuns: 40 },
    );
    expect(bench.isDirty(0x100)).toBe(true);
  });

  test('rd may be the operand or the address', () => {
    bench.setRam64(DATA, 5n);
    bench.setX(6, DATA);
    bench.setX(7, 3n);
    bench.runCode(amo(0, 7, 6, 7, bytes), amo(0, 6, 6, 7, bytes));
    expect([bench.x(7), bench.x(6), bench.ram64(DATA)]).toEqual([5n, 8n, 13n]);
  });

  test('a pair of lr and sc stores once', () => {
    bench.setRam64(DATA, 0xffff_fff5n);
    bench.setX(6, DATA);
    bench.setX(7, 9n);
    bench.runCode(amo(LR, 5, 6, 0, bytes), amo(SC, 8, 6, 7, bytes), amo(SC, 9, 6, 5, bytes));
    expect(bench.x(5)).toBe(bytes === 8 ? 0xffff_fff5n : 0xffff_ffff_ffff_fff5n);
    expect([bench.x(8), bench.x(9), bench.ram64(DATA)]).toEqual([0n, 1n, 9n]);
  });

  test('sc fails elsewhere, at another width, and after another store', () => {
    bench.setX(6, DATA);
    bench.setX(10, DATA + 8n);
    bench.setX(7, 9n);
    bench.runCode(amo(LR, 5, 6, 0, bytes), amo(SC, 8, 10, 7, bytes));
    expect(bench.x(8)).toBe(1n);
    bench.runCode(amo(LR, 5, 6, 0, bytes), amo(SC, 8, 6, 7, 12 - bytes));
    expect(bench.x(8)).toBe(1n);
    bench.runCode(
      amo(LR, 5, 6, 0, bytes),
      bytes === 8 ? sd(7, 6) : sw(7, 6),
      amo(SC, 8, 6, 6, bytes),
    );
    expect([bench.x(8), bench.ram64(DATA)]).toEqual([1n, 9n]);
    expect(bench.get32(RESERVATION_BYTES)).toBe(0);
  });

  test('a misaligned address is a misaligned one, and a device an access fault', () => {
    for (const [funct5, misaligned, fault] of [
      [LR, 4n, 5n],
      [SC, 6n, 7n],
      [0, 6n, 7n],
    ] as const) {
      bench.setX(6, DATA + BigInt(bytes / 2));
      bench.runCode(amo(funct5, 5, 6, 0, bytes));
      expect([bench.get64(MCAUSE), bench.get64(MTVAL)]).toEqual([misaligned, bench.x(6)]);
      bench.setX(6, BigInt(DEVICE));
      bench.runCode(amo(funct5, 5, 6, 0, bytes));
      expect([bench.get64(MCAUSE), bench.get64(MTVAL)]).toEqual([fault, BigInt(DEVICE)]);
    }
    expect(bench.accesses).toEqual([]);
  });
});
