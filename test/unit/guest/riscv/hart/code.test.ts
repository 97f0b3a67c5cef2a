import { beforeEach, describe, expect, test } from 'vitest';
import { addi, bType, C_NOP, FENCE_I, jal, jalr, NOP, sw } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const CODE = RAM_START + 0x2000n;
const PAGE = 4096n;

beforeEach(() => bench.reset());

describe('code that is written', () => {
  /** Calls CODE, stores `instruction` over it, fences or not, and calls it again. */
  function rewrite(fence: number, instruction: number, at = CODE): bigint {
    bench.load(at, addi(5, 5, 1), jalr(0, 1));
    bench.load(CODE, ...(at === CODE ? [] : [NOP, NOP]));
    bench.setX(5, 0n);
    bench.setX(6, at);
    bench.setX(7, BigInt(instruction));
    bench.load(RAM_START, jalr(1, 6), sw(7, 6), fence, jalr(1, 6));
    bench.hart.hartFlushCode();
    bench.pc = RAM_START;
    bench.hart.hartRun(8);
    return bench.x(5);
  }

  test('is executed after FENCE.I, and may not be before', () => {
    expect(rewrite(FENCE_I, addi(5, 5, 100))).toBe(101n);
    expect(rewrite(NOP, addi(5, 5, 100))).toBe(2n);
  });

  test('is seen again and again', () => {
    for (let step = 1; step < 20; step += 1) {
      expect(rewrite(FENCE_I, addi(5, 5, step))).toBe(BigInt(step + 1));
    }
  });

  test('is seen in the page that writes it', () => {
    expect(rewrite(FENCE_I, addi(5, 5, 100), RAM_START + 0x100n)).toBe(101n);
  });

  test('is seen in the page of the second half of an instruction', () => {
    const at = CODE + PAGE - 2n;
    bench.load(at, addi(5, 5, 1), jalr(0, 1));
    bench.setX(6, at);
    bench.setX(8, at + 2n);
    // The upper half of addi(5, 5, 64), and of jalr(0, 1) the lower one.
    bench.setX(7, BigInt(((jalr(0, 1) & 0xffff) << 16) | (addi(5, 5, 64) >>> 16)));
    bench.load(RAM_START, jalr(1, 6), sw(7, 8), FENCE_I, jalr(1, 6));
    bench.hart.hartRun(8);
    expect(bench.x(5)).toBe(65n);
  });

  test('by a device is seen after FENCE.I when the device says so', () => {
    bench.load(RAM_START, jalr(1, 6), FENCE_I, jalr(1, 6), jalr(1, 6));
    bench.load(CODE, addi(5, 5, 1), jalr(0, 1));
    bench.setX(6, CODE);
    bench.hart.hartRun(3);
    bench.load(CODE, addi(5, 5, 100));
    bench.hart.hartCodeWritten(2);
    bench.hart.hartRun(3);
    expect(bench.x(5)).toBe(101n);
  });

  test('in more pages than are listed', () => {
    // Each page returns after it added 1; then each is written to add 2.
    const pages = 1500n;
    const first = RAM_START + 0x10_0000n;
    const run = (from: bigint) => {
      bench.setX(6, from);
      bench.load(RAM_START, jalr(1, 6));
      bench.pc = RAM_START;
      bench.hart.hartRun(3);
    };
    for (let page = 0n; page < pages; page += 1n) {
      bench.load(first + page * PAGE, addi(5, 5, 1), jalr(0, 1));
      run(first + page * PAGE);
    }
    expect(bench.x(5)).toBe(pages);
    for (let page = 0n; page < pages; page += 1n) {
      bench.load(first + page * PAGE, addi(5, 5, 2));
      bench.hart.hartCodeWritten(Number((first - RAM_START) / PAGE + page));
    }
    bench.load(RAM_START + 0x40n, FENCE_I);
    bench.pc = RAM_START + 0x40n;
    bench.hart.hartRun(1);
    for (let page = 0n; page < pages; page += 1n) run(first + page * PAGE);
    expect(bench.x(5)).toBe(pages * 3n);
  });

  test('is marked dirty by the write that its page was watched for', () => {
    bench.load(RAM_START, sw(7, 6), jal(0, -4));
    bench.setX(6, RAM_START + 0x80n);
    bench.hart.hartRun(4);
    expect(bench.isDirty(0)).toBe(true);
    bench.selectMap(1);
    bench.hart.hartRun(4);
    expect(bench.isDirty(0, 1)).toBe(true);
  });
});

describe('instructions across pages', () => {
  test('are executed, jump and branch like others', () => {
    const at = CODE + PAGE - 2n;
    for (const [instruction, target] of [
      [addi(5, 0, 7), at + 4n],
      [jal(1, 8), at + 8n],
      [jal(1, -0x800), at - 0x800n],
      [bType(0, 0, 0, 16), at + 16n],
      [bType(0, 0, 0, -4096), at - 4096n],
    ] as const) {
      bench.load(at, instruction);
      bench.hart.hartFlushCode();
      bench.pc = at;
      expect(bench.hart.hartRun(1)).toBe(1);
      expect(bench.pc).toBe(target);
    }
    expect([bench.x(5), bench.x(1)]).toEqual([7n, at + 4n]);
  });

  test('a page falls into the next one after a short instruction, and after a long one', () => {
    bench.load(CODE + PAGE - 2n, C_NOP, addi(5, 5, 1));
    bench.pc = CODE + PAGE - 2n;
    bench.hart.hartRun(2);
    bench.load(CODE + PAGE - 4n, NOP, addi(5, 5, 1));
    bench.hart.hartFlushCode();
    bench.pc = CODE + PAGE - 4n;
    bench.hart.hartRun(2);
    expect([bench.x(5), bench.pc]).toEqual([2n, CODE + PAGE + 4n]);
  });

  test('the middle of an instruction can be jumped to', () => {
    // addi(5, 5, 1), whose upper half is c.nop-like code of its own.
    const long = 0x0001_0293;
    bench.load(CODE, long, addi(6, 6, 1));
    bench.pc = CODE + 2n;
    bench.hart.hartRun(2);
    expect([bench.x(6), bench.pc]).toEqual([1n, CODE + 8n]);
  });
});
