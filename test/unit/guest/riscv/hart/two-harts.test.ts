import { beforeEach, expect, test } from 'vitest';
import { addi, amo, FENCE_I, jal, jalr, ld, sd, sw } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';

/** On one memory. They take turns, in one thread. */
const first = new HartBench();
const second = new HartBench(first);
const SECOND_CODE = RAM_START + 0x4000n;
const DATA = RAM_START + 0x10_0000n;
const LR = 2;
const SC = 3;

beforeEach(() => {
  first.reset();
  second.reset();
  second.pc = SECOND_CODE;
  for (const bench of [first, second]) bench.setX(6, DATA);
});

test('have registers of their own, and share RAM', () => {
  first.load(RAM_START, addi(5, 5, 1), amo(0, 7, 6, 5), jal(0, -8));
  first.load(SECOND_CODE, addi(5, 5, 100), amo(0, 7, 6, 5), jal(0, -8));
  for (let turn = 0; turn < 10; turn += 1) {
    first.hart.hartRun(3);
    second.hart.hartRun(3);
  }
  expect([first.x(5), second.x(5)]).toEqual([10n, 1000n]);
  expect(first.ram64(DATA)).toBe(55n * 101n);
});

test('mark what they write in their own dirty maps', () => {
  first.load(RAM_START, sd(5, 6));
  first.load(SECOND_CODE, ld(5, 6));
  first.hart.hartRun(1);
  second.hart.hartRun(1);
  expect([first.isDirty(0x100), second.isDirty(0x100)]).toEqual([true, false]);
});

test('break each other’s reservations', () => {
  first.load(RAM_START, amo(LR, 5, 6, 0), addi(7, 0, 1), amo(SC, 8, 6, 7));
  first.load(SECOND_CODE, addi(5, 0, 9), sd(5, 6));
  first.hart.hartRun(2);
  second.hart.hartRun(2);
  first.hart.hartRun(1);
  expect([first.x(8), first.ram64(DATA)]).toEqual([1n, 9n]);
});

test('see each other’s code after a remote fence', () => {
  const routine = RAM_START + 0x6000n;
  first.load(routine, addi(5, 5, 1), jalr(0, 1));
  first.load(RAM_START, sw(7, 6), FENCE_I);
  first.load(SECOND_CODE, jalr(1, 6), jal(0, -4));
  first.setX(6, routine);
  first.setX(7, BigInt(addi(5, 5, 100)));
  second.setX(6, routine);
  second.hart.hartRun(4);
  first.hart.hartRun(2);
  second.hart.hartFlushCode();
  second.hart.hartRun(4);
  expect(second.x(5)).toBe(101n);
});
