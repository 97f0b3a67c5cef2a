import { describe, expect, test } from 'vitest';
import * as layout from '../../../../src/guest/riscv/hart/hart-layout.ts';
import { hartStateFault } from '../../../../src/guest/riscv/hart-state-check.ts';
import { csrr, csrrw, ECALL, iType, NOP } from './hart/assembler.ts';
import { HartBench, RAM_START } from './hart/hart-bench.ts';

const bench = new HartBench();

function stateWith(change: () => void): Uint8Array {
  bench.reset();
  change();
  return bench.state();
}

test('what the hart leaves has no fault, whatever was written to its registers', () => {
  expect(hartStateFault(stateWith(() => undefined))).toBeUndefined();
  for (const value of [0xffff_ffff_ffff_ffffn, 0x5555_5555_5555_5555n, 0x8aaa_aaaa_aaaa_aaaan]) {
    bench.reset();
    bench.set64(layout.MTVEC, RAM_START);
    for (let csr = 0; csr < 0x1000; csr += 1) {
      bench.set32(layout.PRIVILEGE, 3);
      bench.setX(6, value);
      bench.runCode(csrrw(5, csr, 6));
      bench.hart.hartFlush();
    }
    expect(hartStateFault(bench.state())).toBeUndefined();
  }
  bench.reset();
  bench.runCode(ECALL, NOP);
  bench.setX(6, RAM_START);
  bench.runCode(0x1003_32af, iType(0x13, 0, 0, 6, 1), csrr(0, 0x300));
  expect(hartStateFault(bench.state())).toBeUndefined();
});

describe('a fault is named', () => {
  test.each<[string, () => void]>([
    ['x0 is not zero', () => bench.set64(layout.X_REGISTERS, 1n)],
    ['privilege is 2', () => bench.set32(layout.PRIVILEGE, 2)],
    ['waiting is 7', () => bench.set32(layout.WAITING, 7)],
    ['reservation width is 3', () => bench.set32(layout.RESERVATION_BYTES, 3)],
    ['pc is misaligned', () => bench.set64(layout.PC, RAM_START + 1n)],
    ['stvec is misaligned', () => bench.set64(layout.STVEC, 2n)],
    ['fcsr has bits that it cannot have', () => bench.set32(layout.FCSR, 0x100)],
    ['mip has bits that it cannot have', () => bench.set32(layout.MIP, 1)],
    ['mie has bits that it cannot have', () => bench.set64(layout.MIE, 1n << 40n)],
    ['mstatus has bits that it cannot have', () => bench.set64(layout.MSTATUS, 1n << 6n)],
    ['mstatus.MPP is 2', () => bench.set64(layout.MSTATUS, 2n << 11n)],
    ['mstatus.SD is wrong', () => bench.set64(layout.MSTATUS, 3n << 13n)],
    ['satp has mode 9', () => bench.set64(layout.SATP, 9n << 60n)],
    ['pmpcfg of 1 is 2', () => bench.set32(layout.PMPCFG, 0x200)],
    ['pmpcfg of 0 is 17', () => bench.set32(layout.PMPCFG, 0x11)],
    ['pmpaddr15 is out of range', () => bench.set64(layout.PMPADDR + 120, 1n << 60n)],
    ['There is something at 256, where nothing is', () => bench.set32(layout.X_SINK, 1)],
    ['There is something at 4095, where nothing is', () => bench.set32(4092, 1 << 30)],
  ])('%s', (fault, change) => {
    expect(hartStateFault(stateWith(change))).toBe(fault);
  });

  test('a state of another size', () => {
    expect(hartStateFault(new Uint8Array(100))).toBe('It has 100 bytes');
  });
});
