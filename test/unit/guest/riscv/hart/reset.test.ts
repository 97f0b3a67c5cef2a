import { beforeEach, expect, test } from 'vitest';
import {
  MCAUSE,
  MSTATUS,
  PRIVILEGE,
  SCAUSE,
  STVEC,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { hartStateFault } from '../../../../../src/guest/riscv/hart-state-check.ts';
import { csrr, csrrw, NOP, sd } from './assembler.ts';
import { HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const START = RAM_START + 0x20_0000n;

beforeEach(() => bench.reset());

test('begins in machine mode with its number and an argument', () => {
  bench.setX(5, 1n);
  bench.hart.hartReset(START, 2n, 0x8700_0000n);
  expect([bench.pc, bench.x(10), bench.x(11), bench.x(5)]).toEqual([START, 2n, 0x8700_0000n, 0n]);
  expect([bench.get32(PRIVILEGE), bench.get64(MSTATUS)]).toEqual([3, 0xa_0000_0000n]);
  expect(hartStateFault(bench.state())).toBeUndefined();
  bench.load(START, csrr(5, 0xf14));
  bench.hart.hartRun(1);
  expect(bench.x(5)).toBe(2n);
});

test('or in supervisor mode, with memory, timer and counters open to it', () => {
  bench.hart.hartResetToSupervisor(START, 0n, 7n);
  expect([bench.pc, bench.x(11), bench.get32(PRIVILEGE)]).toEqual([START, 7n, 1]);
  expect(hartStateFault(bench.state())).toBeUndefined();
  bench.setX(6, START + 0x1000n);
  const code = [sd(5, 6), csrrw(0, 0x14d, 6), csrr(5, 0xc00), csrr(5, 0xc01), csrr(5, 0xc02), NOP];
  bench.load(START, ...code);
  bench.hart.hartRun(code.length);
  expect([bench.pc, bench.get64(MCAUSE)]).toEqual([START + 24n, 0n]);
  // Time is open to users too, and what they do wrong comes to the supervisor.
  bench.set32(PRIVILEGE, 0);
  bench.set64(STVEC, START);
  bench.load(START + 24n, csrr(5, 0xc01), 0x0000);
  bench.hart.hartRun(2);
  expect([bench.get64(SCAUSE), bench.get64(MCAUSE), bench.pc]).toEqual([2n, 0n, START]);
});
