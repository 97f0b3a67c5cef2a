import { beforeEach, describe, expect, test } from 'vitest';
import { BoardBlock } from '../../../../../src/guest/riscv/board/index.ts';
import { Plic } from '../../../../../src/guest/riscv/board/plic.ts';

const SEIP = 1 << 9;
const MEIP = 1 << 11;
const priority = (source: number) => source * 4;
const enable = (context: number) => 0x2000 + context * 0x80;
const threshold = (context: number) => 0x20_0000 + context * 0x1000;
const claim = (context: number) => threshold(context) + 4;

describe('Plic', () => {
  let mips: Int32Array;
  let woken: number[];
  let plic: Plic;

  beforeEach(() => {
    mips = new Int32Array(2);
    woken = [];
    const words = [0, 1].map((index) => ({ words: mips, index }));
    plic = new Plic(BoardBlock.allocate(), words, (hart) => woken.push(hart));
    for (const source of [1, 2, 3, 10]) plic.write(priority(source), 1);
  });

  test('a context gets what it has enabled, and its hart is woken once', () => {
    plic.write(enable(1), 1 << 10);
    plic.setLevels(1 << 10);
    plic.setLevels(1 << 10);
    expect([...mips]).toEqual([SEIP, 0]);
    expect(woken).toEqual([0]);
    plic.write(enable(2), 1 << 10);
    expect([...mips]).toEqual([SEIP, MEIP]);
    expect(woken).toEqual([0, 1]);
  });

  test('claim() takes the highest priority, and of equal ones the lowest number', () => {
    plic.write(enable(1), 0xffff_fffe);
    plic.write(priority(10), 7);
    plic.setLevels((1 << 10) | (1 << 3) | (1 << 2));
    expect(plic.read(0x1000)).toBe((1 << 10) | (1 << 3) | (1 << 2));
    expect([1, 2, 3, 4].map(() => plic.read(claim(1)))).toEqual([10, 2, 3, 0]);
    expect(mips[0]).toBe(0);
    expect(plic.read(0x1000)).toBe(0);
  });

  test('a line that stays high interrupts again after complete(), and not before', () => {
    plic.write(enable(1), 1 << 1);
    plic.setLevels(1 << 1);
    expect(plic.read(claim(1))).toBe(1);
    plic.setLevels(1 << 1);
    expect(mips[0]).toBe(0);
    plic.write(claim(1), 1);
    expect(mips[0]).toBe(SEIP);
    expect(plic.read(claim(1))).toBe(1);
    plic.setLevels(0);
    plic.write(claim(1), 1);
    expect(mips[0]).toBe(0);
  });

  test('what a gateway has forwarded stays pending when the line falls', () => {
    plic.write(enable(1), 1 << 1);
    plic.setLevels(1 << 1);
    plic.setLevels(0);
    expect(plic.read(claim(1))).toBe(1);
    plic.write(claim(1), 1);
    expect(plic.read(claim(1))).toBe(0);
  });

  test('priorities up to the threshold do not interrupt, and priority 0 never does', () => {
    plic.write(enable(1), 1 << 1);
    plic.write(threshold(1), 1);
    plic.setLevels(1 << 1);
    expect(mips[0]).toBe(0);
    expect(plic.read(claim(1))).toBe(0);
    plic.write(threshold(1), 0);
    expect(mips[0]).toBe(SEIP);
    plic.write(priority(1), 0);
    expect(mips[0]).toBe(0);
  });

  test('complete() of what the context has not enabled, or of no line, does nothing', () => {
    plic.write(enable(1), 1 << 1);
    plic.setLevels(1 << 1);
    expect(plic.read(claim(1))).toBe(1);
    for (const [context, source] of [
      [0, 1],
      [1, 0],
      [1, 32],
      [1, 0xffff_ffff],
      [1, 2],
    ] as const) {
      plic.write(claim(context), source);
      expect(mips[0]).toBe(0);
    }
    plic.write(claim(1), 1);
    expect(mips[0]).toBe(SEIP);
  });

  test('two harts that are interrupted by one line: the first one claims it', () => {
    plic.write(enable(1), 1 << 1);
    plic.write(enable(3), 1 << 1);
    plic.setLevels(1 << 1);
    expect([...mips]).toEqual([SEIP, SEIP]);
    expect(plic.read(claim(3))).toBe(1);
    expect([...mips]).toEqual([0, 0]);
    expect(plic.read(claim(1))).toBe(0);
  });

  test('registers keep what they can hold, and there are no others', () => {
    for (const [offset, value, kept] of [
      [priority(0), 1, 0],
      [priority(1), 0xff, 7],
      [priority(31), 3, 3],
      [priority(32), 1, 0],
      [0x1000, 0xff, 0],
      [enable(0), 0xffff_ffff, 0xffff_fffe],
      [enable(0) + 4, 0xff, 0],
      [enable(4), 0xff, 0],
      [threshold(3), 9, 1],
      [threshold(4), 1, 0],
      [threshold(0) + 8, 1, 0],
      [0x3ff_fffc, 1, 0],
    ] as const) {
      plic.write(offset, value);
      expect(plic.read(offset), `offset ${offset.toString(16)}`).toBe(kept);
    }
  });
});
