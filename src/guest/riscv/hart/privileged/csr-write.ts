// What a write leaves in the CSRs. Fields that can hold only some values keep what they had, or
// take the nearest (WARL).
import { floatFlags } from '../../float/float';
import { hart } from '../context';
import {
  FCSR, MCAUSE, MCOUNTEREN, MEDELEG, MENVCFG, MEPC, MIDELEG, MIE, MIP, MSCRATCH, MSTATUS, MTVAL,
  MTVEC, SATP, SCAUSE, SCOUNTEREN, SENVCFG, SEPC, SSCRATCH, STIMECMP, STVAL, STVEC,
} from '../hart-layout';
import { writePmpAddress, writePmpConfiguration } from '../memory/pmp';
import { flushAddressSpace, flushReadTlb, flushTlbs } from '../memory/tlb';
import {
  CYCLE_BIT, INSTRET_BIT, isTimerSupervised, updateTimer, writeCounter, writeInhibit,
} from './counters';
import {
  CSR_FCSR, CSR_FFLAGS, CSR_FRM, CSR_MCAUSE, CSR_MCOUNTEREN, CSR_MCOUNTINHIBIT, CSR_MCYCLE,
  CSR_MEDELEG, CSR_MENVCFG, CSR_MEPC, CSR_MIDELEG, CSR_MIE, CSR_MINSTRET, CSR_MIP, CSR_MSCRATCH,
  CSR_MSTATUS, CSR_MTVAL, CSR_MTVEC, CSR_PMPADDR0, CSR_PMPADDR15, CSR_PMPCFG0, CSR_PMPCFG2, CSR_SATP,
  CSR_SCAUSE, CSR_SCOUNTEREN, CSR_SENVCFG, CSR_SEPC, CSR_SIE, CSR_SIP, CSR_SSCRATCH, CSR_SSTATUS,
  CSR_STIMECMP, CSR_STVAL, CSR_STVEC,
} from './csr-numbers';
import { FS } from './csr-read';
import { MPP } from './trap';

const SD: u64 = 0x8000000000000000;
const MXR: u64 = 1 << 19;
// User and supervisor mode have 64 bits.
const XL_64: u64 = 0xa00000000;
// SIE, MIE, SPIE, MPIE, SPP, MPP, FS, MPRV, SUM, MXR, TVM, TW, TSR.
const MSTATUS_WRITABLE: u64 = 0x7e79aa;
// SIE, SPIE, SPP, FS, SUM, MXR.
const SSTATUS_WRITABLE: u64 = 0xc6122;
// All exceptions but the call from machine mode and what is reserved.
const MEDELEG_WRITABLE: u64 = 0xb3ff;
const SUPERVISOR_INTERRUPTS: u64 = 0x222;
const ALL_INTERRUPTS: u64 = 0xaaa;
const SSIP: u32 = 1 << 1;
const STIP: u32 = 1 << 5;
const SEIP: u32 = 1 << 9;
const FIOM: u64 = 1;
const STCE: u64 = 0x8000000000000000;
const COUNTERS: u64 = 0xffffffff;
const SV39: u64 = 8;

let touched: u64 = 0;

// SD says in the top bit whether anything is dirty.
export function writeStatus(value: u64): void {
  const isDirty = (value & FS) == FS;
  store<u64>(hart + MSTATUS, (value & ~SD) | XL_64 | (isDirty ? SD : 0));
}

function changeStatus(value: u64, writable: u64): void {
  const old = load<u64>(hart + MSTATUS);
  let status = (old & ~writable) | (value & writable);
  // There is no mode 2.
  if ((status & MPP) == 2 << 11) status = (status & ~MPP) | (old & MPP);
  writeStatus(status);
  if (((status ^ old) & MXR) != 0) flushReadTlb();
}

// Of the bits that the instruction names: devices may change the others meanwhile.
function changePending(value: u64, writable: u32): void {
  const changed = writable & <u32>touched;
  atomic.or<u32>(hart + MIP, <u32>value & changed);
  atomic.and<u32>(hart + MIP, <u32>value | ~changed);
}

function writeSatp(value: u64): void {
  const old = load<u64>(hart + SATP);
  const mode = value >> 60;
  if ((mode != 0 && mode != SV39) || value == old) return;
  store<u64>(hart + SATP, value);
  if (mode == old >> 60) flushAddressSpace();
  else flushTlbs();
}

function setFloatControl(flags: u64, rounding: u64): void {
  floatFlags = <u32>flags & 31;
  store<u32>(hart + FCSR, <u32>((rounding & 7) << 5));
  writeStatus(load<u64>(hart + MSTATUS) | FS);
}

// `bits` are those that the instruction sets or clears. A register that can be read but holds
// nothing takes no notice.
export function writeCsr(number: u32, value: u64, bits: u64): void {
  touched = bits;
  if (number >= CSR_PMPADDR0 && number <= CSR_PMPADDR15) {
    writePmpAddress(number - CSR_PMPADDR0, value);
    flushTlbs();
    return;
  }
  writeSupervisor(number, value);
  writeMachine(number, value);
}

// Of user and supervisor mode.
function writeSupervisor(number: u32, value: u64): void {
  const delegated = load<u64>(hart + MIDELEG);
  const rounding = <u64>(load<u32>(hart + FCSR) >> 5);
  switch (number) {
    case CSR_FFLAGS: setFloatControl(value, rounding); break;
    case CSR_FRM: setFloatControl(floatFlags, value); break;
    case CSR_FCSR: setFloatControl(value, value >> 5); break;
    case CSR_SSTATUS: changeStatus(value, SSTATUS_WRITABLE); break;
    case CSR_SIE:
      store<u64>(hart + MIE, (load<u64>(hart + MIE) & ~delegated) | (value & delegated));
      break;
    case CSR_STVEC: store<u64>(hart + STVEC, value & ~<u64>2); break;
    case CSR_SCOUNTEREN: store<u64>(hart + SCOUNTEREN, value & COUNTERS); break;
    case CSR_SENVCFG: store<u64>(hart + SENVCFG, value & FIOM); break;
    case CSR_SSCRATCH: store<u64>(hart + SSCRATCH, value); break;
    case CSR_SEPC: store<u64>(hart + SEPC, value & ~<u64>1); break;
    case CSR_SCAUSE: store<u64>(hart + SCAUSE, value); break;
    case CSR_STVAL: store<u64>(hart + STVAL, value); break;
    case CSR_SIP: changePending(value, SSIP & <u32>delegated); break;
    case CSR_STIMECMP:
      store<u64>(hart + STIMECMP, value);
      updateTimer();
      break;
    case CSR_SATP: writeSatp(value); break;
  }
}

function writeMachine(number: u32, value: u64): void {
  switch (number) {
    case CSR_MSTATUS: changeStatus(value, MSTATUS_WRITABLE); break;
    case CSR_MEDELEG: store<u64>(hart + MEDELEG, value & MEDELEG_WRITABLE); break;
    case CSR_MIDELEG: store<u64>(hart + MIDELEG, value & SUPERVISOR_INTERRUPTS); break;
    case CSR_MIE: store<u64>(hart + MIE, value & ALL_INTERRUPTS); break;
    case CSR_MTVEC: store<u64>(hart + MTVEC, value & ~<u64>2); break;
    case CSR_MCOUNTEREN: store<u64>(hart + MCOUNTEREN, value & COUNTERS); break;
    case CSR_MCOUNTINHIBIT: writeInhibit(value); break;
    case CSR_MENVCFG:
      store<u64>(hart + MENVCFG, value & (FIOM | STCE));
      updateTimer();
      break;
    case CSR_MSCRATCH: store<u64>(hart + MSCRATCH, value); break;
    case CSR_MEPC: store<u64>(hart + MEPC, value & ~<u64>1); break;
    case CSR_MCAUSE: store<u64>(hart + MCAUSE, value); break;
    case CSR_MTVAL: store<u64>(hart + MTVAL, value); break;
    case CSR_MIP: changePending(value, isTimerSupervised() ? SSIP | SEIP : SSIP | STIP | SEIP); break;
    case CSR_PMPCFG0:
    case CSR_PMPCFG2:
      writePmpConfiguration(number - CSR_PMPCFG0, value);
      flushTlbs();
      break;
    case CSR_MCYCLE: writeCounter(CYCLE_BIT, value); break;
    case CSR_MINSTRET: writeCounter(INSTRET_BIT, value); break;
  }
}
