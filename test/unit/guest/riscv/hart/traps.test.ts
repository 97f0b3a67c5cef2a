import { beforeEach, describe, expect, test } from 'vitest';
import {
  MCAUSE,
  MEDELEG,
  MEPC,
  MIDELEG,
  MIE,
  MIP,
  MSTATUS,
  MTVAL,
  MTVEC,
  PMPADDR,
  PMPCFG,
  PRIVILEGE,
  SBI_ENABLED,
  SCAUSE,
  SEPC,
  STEPS,
  STVAL,
  STVEC,
  TRAPPED_STEPS,
  WAITING,
} from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { HART_STOP } from '../../../../../src/guest/riscv/hart-module.ts';
import {
  addi,
  amo,
  csrrs,
  EBREAK,
  ECALL,
  iType,
  MRET,
  NOP,
  rType,
  SRET,
  sfenceVma,
  sw,
  WFI,
} from './assembler.ts';
import { DEVICE, HartBench, RAM_START } from './hart-bench.ts';

const bench = new HartBench();
const MACHINE_HANDLER = RAM_START + 0x8000n;
const SUPERVISOR_HANDLER = RAM_START + 0x9000n;
const USER = 0;
const SUPERVISOR = 1;
const MACHINE = 3;
const SIE = 1n << 1n;
const MIE_BIT = 1n << 3n;
const SPIE = 1n << 5n;
const MPIE = 1n << 7n;
const SPP = 1n << 8n;
const TVM = 1n << 20n;
const TW = 1n << 21n;
const TSR = 1n << 22n;
const INTERRUPT = 1n << 63n;

beforeEach(() => {
  bench.reset();
  // All of memory is open to everybody.
  bench.set64(PMPADDR, 0x3f_ffff_ffff_ffffn);
  bench.set32(PMPCFG, 0x1f);
  bench.hart.hartFlush();
  bench.set64(MTVEC, MACHINE_HANDLER);
  bench.set64(STVEC, SUPERVISOR_HANDLER);
  bench.load(MACHINE_HANDLER, NOP);
  bench.load(SUPERVISOR_HANDLER, NOP);
});

function setStatus(bits: bigint): void {
  bench.set64(MSTATUS, bench.get64(MSTATUS) | bits);
}

function runAt(privilege: number, ...code: number[]): void {
  bench.set32(PRIVILEGE, privilege);
  bench.runCode(...code);
}

/** Cause, value, where, and in which mode it goes on. */
function machineTrap() {
  return {
    cause: bench.get64(MCAUSE),
    value: bench.get64(MTVAL),
    from: bench.get64(MEPC) - RAM_START,
    privilege: bench.get32(PRIVILEGE),
    pc: bench.pc,
  };
}

function expectIllegal(instruction: number): void {
  expect(machineTrap()).toEqual({
    cause: 2n,
    value: BigInt(instruction),
    from: 0n,
    privilege: MACHINE,
    pc: MACHINE_HANDLER,
  });
}

describe('malformed encodings are illegal, and mtval names them', () => {
  const ENCODINGS: readonly [string, number][] = [
    ['all zeros', 0x0000],
    ['all ones', 0xffff_ffff],
    ['c.addi4spn of nothing', 0x0004],
    ['compressed, reserved', 0x8000],
    ['c.addiw to x0', 0x2005],
    ['c.addi16sp of nothing', 0x6101],
    ['c.lui of nothing', 0x6281],
    ['c.subw, reserved twin', 0x9c41],
    ['c.lwsp to x0', 0x4002],
    ['c.ldsp to x0', 0x6002],
    ['c.jr x0', 0x8002],
    ['load of 16 bytes', iType(0x03, 7, 5, 6, 0)],
    ['store of 16 bytes', iType(0x23, 4, 5, 6, 0)],
    ['branch, funct3 2', iType(0x63, 2, 0, 6, 0)],
    ['branch, funct3 3', iType(0x63, 3, 0, 6, 0)],
    ['jalr, funct3 1', iType(0x67, 1, 5, 6, 0)],
    ['slli by 64', iType(0x13, 1, 5, 6, 64)],
    ['srli with another bit', iType(0x13, 5, 5, 6, 0x800)],
    ['slliw by 32', iType(0x1b, 1, 5, 6, 32)],
    ['sraiw by 32', iType(0x1b, 5, 5, 6, 0x420)],
    ['word, funct3 2', iType(0x1b, 2, 5, 6, 0)],
    ['add, funct7 2', rType(0x33, 0, 2, 5, 6, 7)],
    ['xor, funct7 32', rType(0x33, 4, 32, 5, 6, 7)],
    ['mulhw', rType(0x3b, 1, 1, 5, 6, 7)],
    ['sltw', rType(0x3b, 2, 0, 5, 6, 7)],
    ['fence, funct3 2', iType(0x0f, 2, 0, 0, 0)],
    ['atomic of a halfword', rType(0x2f, 1, 0, 5, 6, 7)],
    ['atomic, funct5 5', rType(0x2f, 3, 5 << 2, 5, 6, 7)],
    ['lr with rs2', rType(0x2f, 3, 2 << 2, 5, 6, 7)],
    ['opcode 0x0b', rType(0x0b, 0, 0, 5, 6, 7)],
    ['opcode 0x5b', rType(0x5b, 0, 0, 5, 6, 7)],
    ['of 48 bits', 0x0000_001f],
    ['system, funct3 4', iType(0x73, 4, 5, 6, 0x300)],
    ['uret', 0x0020_0073],
    ['ecall with rd', ECALL | (1 << 7)],
    ['mret with rs1', MRET | (1 << 15)],
    ['sfence.vma with rd', sfenceVma() | (1 << 7)],
    ['a CSR that is not', csrrs(5, 0x5c0, 0)],
    ['a write to a constant', csrrs(5, 0xf11, 6)],
  ];
  test.each(ENCODINGS)('%s', (_, instruction) => {
    runAt(MACHINE, instruction);
    expectIllegal(instruction);
  });

  test('also where they cross pages', () => {
    bench.load(RAM_START + 0xffen, 0xffff_ffff);
    bench.pc = RAM_START + 0xffen;
    bench.hart.hartRun(1);
    expect(machineTrap()).toMatchObject({ cause: 2n, value: 0xffff_ffffn, from: 0xffen });
  });
});

describe('calls', () => {
  test.each([
    [USER, 8n],
    [SUPERVISOR, 9n],
    [MACHINE, 11n],
  ])('ecall from mode %i', (privilege, cause) => {
    runAt(privilege, ECALL);
    expect(machineTrap()).toMatchObject({ cause, value: 0n, from: 0n, privilege: MACHINE });
    expect((bench.get64(MSTATUS) >> 11n) & 3n).toBe(BigInt(privilege));
    expect([bench.get64(STEPS), bench.get64(TRAPPED_STEPS)]).toEqual([1n, 1n]);
  });

  test('ebreak, long and short', () => {
    runAt(MACHINE, EBREAK);
    expect(machineTrap()).toMatchObject({ cause: 3n, value: RAM_START });
    runAt(MACHINE, 0x9002);
    expect(machineTrap()).toMatchObject({ cause: 3n, value: RAM_START });
  });

  test('ecall from supervisor mode is the host’s, where it says so', () => {
    bench.set32(SBI_ENABLED, 1);
    bench.setX(10, 5n);
    bench.onSbi = () => {
      expect(bench.pc).toBe(RAM_START);
      bench.setX(10, bench.x(10) + 1n);
      return 0;
    };
    runAt(SUPERVISOR, ECALL, addi(11, 10, 1));
    expect([bench.x(10), bench.x(11), bench.pc]).toEqual([6n, 7n, RAM_START + 8n]);
    runAt(USER, ECALL);
    expect(machineTrap()).toMatchObject({ cause: 8n });
  });

  test('an SBI call that is interrupted is repeated', () => {
    bench.set32(SBI_ENABLED, 1);
    bench.set32(PRIVILEGE, SUPERVISOR);
    bench.load(RAM_START, NOP, ECALL, NOP);
    bench.onSbi = () => 1;
    expect(bench.hart.hartRun(5)).toBe(1);
    expect(bench.hart.hartStopReason()).toBe(HART_STOP.interrupted);
    expect([bench.pc, bench.get64(STEPS)]).toEqual([RAM_START + 4n, 1n]);
    bench.onSbi = () => 0;
    expect(bench.hart.hartRun(2)).toBe(2);
    expect(bench.pc).toBe(RAM_START + 12n);
  });
});

describe('delegation', () => {
  test('what is delegated goes to supervisor mode, from there and from user mode', () => {
    bench.set64(MEDELEG, 1n << 2n);
    setStatus(SIE | SPP);
    runAt(USER, 0x0000);
    expect([bench.get64(SCAUSE), bench.get64(STVAL), bench.get64(SEPC)]).toEqual([
      2n,
      0n,
      RAM_START,
    ]);
    expect([bench.get32(PRIVILEGE), bench.pc]).toEqual([SUPERVISOR, SUPERVISOR_HANDLER]);
    expect(bench.get64(MSTATUS) & (SIE | SPIE | SPP)).toBe(SPIE);
    runAt(SUPERVISOR, 0x0000);
    expect(bench.get64(MSTATUS) & (SIE | SPIE | SPP)).toBe(SPP);
    expect(bench.get64(MCAUSE)).toBe(0n);
  });

  test('machine mode keeps its own', () => {
    bench.set64(MEDELEG, 1n << 2n);
    runAt(MACHINE, 0x0000);
    expectIllegal(0);
  });
});

describe('returns', () => {
  test('mret restores mode and interrupts, and leaves MPRV set for machine mode only', () => {
    bench.set64(MEPC, RAM_START + 0x100n);
    for (const [privilege, mprv] of [
      [USER, 0n],
      [SUPERVISOR, 0n],
      [MACHINE, 1n],
    ] as const) {
      bench.set64(MSTATUS, MPIE | (BigInt(privilege) << 11n) | (1n << 17n));
      runAt(MACHINE, MRET);
      expect([bench.get32(PRIVILEGE), bench.pc]).toEqual([privilege, RAM_START + 0x100n]);
      const status = bench.get64(MSTATUS);
      expect(status & (MIE_BIT | MPIE | (3n << 11n))).toBe(MIE_BIT | MPIE);
      expect((status >> 17n) & 1n).toBe(mprv);
    }
  });

  test('sret', () => {
    bench.set64(SEPC, RAM_START + 0x100n);
    bench.set64(MSTATUS, SPIE | SPP | (1n << 17n));
    runAt(SUPERVISOR, SRET);
    expect([bench.get32(PRIVILEGE), bench.pc]).toEqual([SUPERVISOR, RAM_START + 0x100n]);
    expect(bench.get64(MSTATUS) & (SIE | SPIE | SPP | (1n << 17n))).toBe(SIE | SPIE);
  });
});

describe('what a mode may not do', () => {
  test.each([
    ['mret in supervisor mode', SUPERVISOR, MRET, 0n],
    ['sret in user mode', USER, SRET, 0n],
    ['sret with TSR', SUPERVISOR, SRET, TSR],
    ['wfi in user mode', USER, WFI, 0n],
    ['wfi with TW', SUPERVISOR, WFI, TW],
    ['sfence.vma in user mode', USER, sfenceVma(), 0n],
    ['sfence.vma with TVM', SUPERVISOR, sfenceVma(), TVM],
    ['satp with TVM', SUPERVISOR, csrrs(5, 0x180, 0), TVM],
    ['mstatus in supervisor mode', SUPERVISOR, csrrs(5, 0x300, 0), 0n],
    ['sstatus in user mode', USER, csrrs(5, 0x100, 0), 0n],
    ['cycle in user mode', USER, csrrs(5, 0xc00, 0), 0n],
    ['stimecmp without STCE', SUPERVISOR, csrrs(5, 0x14d, 0), 0n],
  ])('%s', (_, privilege, instruction, status) => {
    setStatus(status);
    runAt(privilege, instruction);
    expectIllegal(instruction);
  });

  test.each([
    ['sret in machine mode, with TSR', MACHINE, SRET, TSR],
    ['wfi in machine mode, with TW', MACHINE, WFI, TW],
    ['sfence.vma in machine mode, with TVM', MACHINE, sfenceVma(6, 7), TVM],
    ['satp without TVM', SUPERVISOR, csrrs(5, 0x180, 0), 0n],
  ])('but %s', (_, privilege, instruction, status) => {
    setStatus(status);
    runAt(privilege, instruction);
    expect(bench.get64(MCAUSE)).toBe(0n);
  });
});

describe('interrupts', () => {
  const pend = (bits: number) => bench.set32(MIP, bits);

  test('come in the order of the ISA', () => {
    const seen: bigint[] = [];
    bench.set64(MIE, 0xaaan);
    for (const taken of [11n, 3n, 7n, 9n, 1n, 5n]) {
      pend(0xaaa & ~seen.reduce((bits, code) => bits | (1 << Number(code)), 0));
      setStatus(MIE_BIT);
      runAt(MACHINE, NOP);
      seen.push(bench.get64(MCAUSE) & ~INTERRUPT);
      expect(bench.get64(MCAUSE)).toBe(INTERRUPT | taken);
      expect(bench.get64(MEPC)).toBe(RAM_START);
      // Nothing of the program was executed, but of the handler.
      expect(bench.pc).not.toBe(RAM_START + 4n);
    }
  });

  test('are masked by mie, by mstatus.MIE in machine mode, and never from below', () => {
    pend(1 << 7);
    setStatus(MIE_BIT);
    runAt(MACHINE, NOP);
    expect(bench.get64(MCAUSE)).toBe(0n);
    bench.set64(MIE, 1n << 7n);
    bench.set64(MSTATUS, 0n);
    runAt(MACHINE, NOP);
    expect(bench.get64(MCAUSE)).toBe(0n);
    runAt(USER, NOP);
    expect(bench.get64(MCAUSE)).toBe(INTERRUPT | 7n);
  });

  test('delegated ones wait for supervisor mode, and are vectored where asked', () => {
    bench.set64(MIDELEG, 0x222n);
    bench.set64(MIE, 0x222n);
    bench.set64(STVEC, SUPERVISOR_HANDLER | 1n);
    bench.load(SUPERVISOR_HANDLER + 36n, NOP);
    pend(1 << 9);
    setStatus(MIE_BIT);
    runAt(MACHINE, NOP);
    expect(bench.pc).toBe(RAM_START + 4n);
    runAt(SUPERVISOR, NOP);
    expect(bench.pc).toBe(RAM_START + 4n);
    setStatus(SIE);
    runAt(SUPERVISOR, NOP);
    expect([bench.get64(SCAUSE), bench.pc]).toEqual([INTERRUPT | 9n, SUPERVISOR_HANDLER + 40n]);
    bench.set64(SCAUSE, 0n);
    runAt(USER, NOP);
    expect(bench.get64(SCAUSE)).toBe(INTERRUPT | 9n);
    // Exceptions are not vectored.
    bench.set64(MEDELEG, 1n << 2n);
    pend(0);
    runAt(USER, 0x0000);
    expect(bench.pc).toBe(SUPERVISOR_HANDLER);
  });

  test('are taken right after what opens the way to them', () => {
    bench.set64(MIE, 1n << 7n);
    const start = { status: 0n, pending: 1 << 7, x: 0n };
    const OPENERS = [
      // mstatus.MIE, mie, a device, and mret.
      { ...start, instruction: iType(0x73, 6, 0, 8, 0x300) },
      { ...start, instruction: csrrs(0, 0x304, 6), status: MIE_BIT, pending: 1 << 11, x: 0x800n },
      { ...start, instruction: sw(0, 6), status: MIE_BIT, pending: 0, x: BigInt(DEVICE) },
      { ...start, instruction: MRET, status: MPIE | (3n << 11n) },
    ];
    bench.set64(MEPC, RAM_START + 4n);
    bench.onDevice = () => pend(1 << 7);
    for (const { instruction, status, pending, x } of OPENERS) {
      bench.set64(MSTATUS, status);
      pend(pending);
      bench.setX(6, x);
      runAt(MACHINE, instruction, NOP);
      expect([bench.get64(MEPC), bench.pc]).toEqual([RAM_START + 4n, MACHINE_HANDLER + 4n]);
    }
  });

  test('an atomic that is interrupted loses its reservation', () => {
    bench.setX(6, RAM_START + 0x10_0000n);
    runAt(MACHINE, amo(2, 5, 6, 0), EBREAK);
    bench.load(MACHINE_HANDLER, amo(3, 7, 6, 5));
    bench.hart.hartFlushCode();
    bench.hart.hartRun(1);
    expect(bench.x(7)).toBe(1n);
  });
});

describe('waiting', () => {
  test('ends with an interrupt that is enabled, taken or not', () => {
    bench.load(RAM_START, WFI, addi(5, 5, 1));
    expect(bench.hart.hartRun(10)).toBe(1);
    expect([bench.hart.hartStopReason(), bench.get32(WAITING)]).toEqual([HART_STOP.waiting, 1]);
    bench.set32(MIP, 1 << 7);
    expect(bench.hart.hartRun(10)).toBe(0);
    expect(bench.hart.hartStopReason()).toBe(HART_STOP.waiting);
    bench.set64(MIE, 1n << 7n);
    expect(bench.hart.hartRun(1)).toBe(1);
    expect([bench.x(5), bench.get32(WAITING)]).toEqual([1n, 0]);
  });

  test('does not begin while one is pending', () => {
    bench.set32(MIP, 1 << 7);
    bench.set64(MIE, 1n << 7n);
    bench.load(RAM_START, WFI, addi(5, 5, 1));
    expect(bench.hart.hartRun(2)).toBe(2);
    expect(bench.x(5)).toBe(1n);
  });
});

test('a handler that traps for ever ends with the budget', () => {
  bench.set64(MTVEC, 0x1000n);
  bench.load(RAM_START, ECALL);
  expect(bench.hart.hartRun(1000)).toBe(1000);
  expect(bench.get64(TRAPPED_STEPS)).toBe(1000n);
  expect(machineTrap()).toMatchObject({ cause: 1n, value: 0x1000n });
});
