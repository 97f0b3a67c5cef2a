import { beforeEach, describe, expect, test } from 'vitest';
import { MSTATUS, PC, STEPS } from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { addi, bType, iType, jal, jalr, ld, lw, rType, sd, sType, sw, uType } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const DATA = RAM_START + 0x10_0000n;

beforeEach(() => bench.reset());

/** Name, 16 bits, and the 32 that it stands for. */
const PAIRS: readonly [string, number, number][] = [
  ['c.addi4spn x10, 1020', 0x1fe8, addi(10, 2, 1020)],
  ['c.addi4spn x8, 4', 0x0040, addi(8, 2, 4)],
  ['c.fld f9, 248(x8)', 0x3c64, iType(0x07, 3, 9, 8, 248)],
  ['c.lw x9, 124(x8)', 0x5c64, lw(9, 8, 124)],
  ['c.lw x9, 4(x8)', 0x4044, lw(9, 8, 4)],
  ['c.ld x15, 192(x8)', 0x607c, ld(15, 8, 192)],
  ['c.fsd f9, 8(x8)', 0xa404, sType(0x27, 3, 8, 9, 8)],
  ['c.sw x9, 64(x8)', 0xc024, sw(9, 8, 64)],
  ['c.sd x15, 56(x8)', 0xfc1c, sd(15, 8, 56)],
  ['c.addi x5, -1', 0x12fd, addi(5, 5, -1)],
  ['c.addi x5, 31', 0x02fd, addi(5, 5, 31)],
  ['c.addiw x5, -32', 0x3281, iType(0x1b, 0, 5, 5, -32)],
  ['c.li x5, -32', 0x5281, addi(5, 0, -32)],
  ['c.addi16sp 496', 0x617d, addi(2, 2, 496)],
  ['c.addi16sp -512', 0x7101, addi(2, 2, -512)],
  ['c.lui x5, 1', 0x6285, uType(0x37, 5, 1)],
  ['c.lui x5, -32', 0x7281, uType(0x37, 5, 0xf_ffe0)],
  ['c.srli x9, 63', 0x90fd, iType(0x13, 5, 9, 9, 63)],
  ['c.srai x9, 33', 0x9485, iType(0x13, 5, 9, 9, 0x400 | 33)],
  ['c.andi x9, -2', 0x98f9, iType(0x13, 7, 9, 9, -2)],
  ['c.sub x9, x10', 0x8c89, rType(0x33, 0, 32, 9, 9, 10)],
  ['c.xor x9, x10', 0x8ca9, rType(0x33, 4, 0, 9, 9, 10)],
  ['c.or x9, x10', 0x8cc9, rType(0x33, 6, 0, 9, 9, 10)],
  ['c.and x9, x10', 0x8ce9, rType(0x33, 7, 0, 9, 9, 10)],
  ['c.subw x9, x10', 0x9c89, rType(0x3b, 0, 32, 9, 9, 10)],
  ['c.addw x9, x10', 0x9ca9, rType(0x3b, 0, 0, 9, 9, 10)],
  ['c.slli x5, 63', 0x12fe, iType(0x13, 1, 5, 5, 63)],
  ['c.fldsp f5, 504', 0x32fe, iType(0x07, 3, 5, 2, 504)],
  ['c.lwsp x5, 252', 0x52fe, lw(5, 2, 252)],
  ['c.ldsp x5, 504', 0x72fe, ld(5, 2, 504)],
  ['c.mv x5, x6', 0x829a, rType(0x33, 0, 0, 5, 0, 6)],
  ['c.add x5, x6', 0x929a, rType(0x33, 0, 0, 5, 5, 6)],
  ['c.fsdsp f6, 504', 0xbf9a, sType(0x27, 3, 2, 6, 504)],
  ['c.swsp x6, 252', 0xdf9a, sw(6, 2, 252)],
  ['c.sdsp x6, 504', 0xff9a, sd(6, 2, 504)],
];

/** Registers point at different places in a page of noise. Returns the state and that page. */
function execute(instruction: number): [Uint8Array, bigint[]] {
  bench.set64(STEPS, 0n);
  bench.set64(MSTATUS, 3n << 13n);
  const addresses = Array.from({ length: 256 }, (_, index) => DATA + BigInt(index) * 8n);
  for (const at of addresses) bench.setRam64(at, (at * 0x9e37_79b9_7f4a_7c15n) ^ 0x5555n);
  for (let index = 1; index < 32; index += 1) {
    bench.setX(index, DATA + BigInt(index * 8));
    bench.setF(index, BigInt(index) * 0x1234_5678_9abc_def1n);
  }
  bench.runCode(instruction);
  return [bench.state(), addresses.map(bench.ram64)];
}

describe('stand for instructions of 32 bits', () => {
  test.each(PAIRS)('%s', (_, short, long) => {
    const [shortState, shortData] = execute(short);
    expect(bench.pc).toBe(RAM_START + 2n);
    const [longState, longData] = execute(long);
    expect(bench.pc).toBe(RAM_START + 4n);
    shortState[PC] = longState[PC] ?? 0;
    expect(shortState).toEqual(longState);
    expect(shortData).toEqual(longData);
  });
});

describe('jumps and branches', () => {
  const FROM = RAM_START + 0x4000n;

  function targetOf(instruction: number): bigint {
    bench.load(FROM, instruction);
    bench.hart.hartFlushCode();
    bench.pc = FROM;
    bench.hart.hartRun(1);
    return bench.pc - FROM;
  }

  test.each([
    ['c.j 2', 0xa009, jal(0, 2)],
    ['c.j 2046', 0xaffd, jal(0, 2046)],
    ['c.j -2048', 0xb001, jal(0, -2048)],
    ['c.beqz x9, 254', 0xccfd, bType(0, 9, 0, 254)],
    ['c.beqz x9, -256', 0xd081, bType(0, 9, 0, -256)],
    ['c.bnez x9, 6', 0xe099, bType(1, 9, 0, 6)],
    ['c.bnez x9, -2', 0xfcfd, bType(1, 9, 0, -2)],
  ])('%s', (_, short, long) => {
    for (const value of [0n, 1n]) {
      bench.setX(9, value);
      const wanted = targetOf(long);
      expect(targetOf(short)).toBe(wanted === 4n ? 2n : wanted);
    }
  });

  test('c.jr and c.jalr link to the next halfword', () => {
    bench.setX(5, FROM + 0x101n);
    expect(targetOf(0x8282)).toBe(0x100n);
    expect(bench.x(1)).toBe(0n);
    expect(targetOf(0x9282)).toBe(0x100n);
    expect(bench.x(1)).toBe(FROM + 2n);
    expect(targetOf(jalr(1, 5))).toBe(0x100n);
  });
});
