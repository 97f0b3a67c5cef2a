// What the CSRs read as, and which there are.
import { floatFlags } from '../../float/float';
import { hart, MACHINE, SUPERVISOR, USER } from '../context';
import {
  FCSR, MCAUSE, MCOUNTEREN, MCOUNTINHIBIT, MEDELEG, MENVCFG, MEPC, MHARTID, MIDELEG, MIE, MIP,
  MSCRATCH, MSTATUS, MTVAL, MTVEC, PRIVILEGE, SATP, SCAUSE, SCOUNTEREN, SENVCFG, SEPC, SSCRATCH,
  STIMECMP, STVAL, STVEC,
} from '../hart-layout';
import { readPmpAddress, readPmpConfiguration } from '../memory/pmp';
import { CYCLE_BIT, INSTRET_BIT, isTimerSupervised, readCounter, readTime } from './counters';
import {
  CSR_CYCLE, CSR_FCSR, CSR_FFLAGS, CSR_FRM, CSR_HPMCOUNTER31, CSR_INSTRET, CSR_MCAUSE,
  CSR_MCONFIGPTR, CSR_MCOUNTEREN, CSR_MCOUNTINHIBIT, CSR_MCYCLE, CSR_MEDELEG, CSR_MENVCFG, CSR_MEPC,
  CSR_MHARTID, CSR_MHPMCOUNTER3, CSR_MHPMCOUNTER31, CSR_MHPMEVENT3, CSR_MHPMEVENT31, CSR_MIDELEG,
  CSR_MIE, CSR_MIMPID, CSR_MINSTRET, CSR_MIP, CSR_MISA, CSR_MSCRATCH, CSR_MSTATUS, CSR_MTVAL,
  CSR_MTVEC, CSR_MVENDORID, CSR_PMPADDR0, CSR_PMPADDR15, CSR_PMPCFG0, CSR_PMPCFG2, CSR_SATP,
  CSR_SCAUSE, CSR_SCOUNTEREN, CSR_SENVCFG, CSR_SEPC, CSR_SIE, CSR_SIP, CSR_SSCRATCH, CSR_SSTATUS,
  CSR_STIMECMP, CSR_STVAL, CSR_STVEC, CSR_TDATA3, CSR_TIME, CSR_TINFO,
  CSR_TSELECT,
} from './csr-numbers';

// RV64 with A, C, D, F, I, M, S and U; nothing of it can be switched off.
const MISA_VALUE: u64 = 0x800000000014112d;
export const FS: u64 = 3 << 13;
const TVM: u64 = 1 << 20;
// SIE, SPIE, SPP, FS, SUM, MXR, UXL, SD.
const SSTATUS_MASK: u64 = 0x80000003000c6122;
const TIME_BIT: u64 = 2;
// No triggers: nothing to select, no type, and tinfo says that there is nothing.
const TINFO_NONE: u64 = 1;

// What the last `readCsr` found.
export let csrValue: u64 = 0;

// False: there is no such register, or not at this privilege, or not to be written.
export function isCsrOpen(number: u32, isWrite: bool): bool {
  const privilege = load<u32>(hart + PRIVILEGE);
  if (((number >> 8) & 3) > privilege) return false;
  if (isWrite && number >> 10 == 3) return false;
  if (number <= CSR_FCSR) return (load<u64>(hart + MSTATUS) & FS) != 0;
  if (number >= CSR_CYCLE && number <= CSR_HPMCOUNTER31) {
    return isCounterOpen(<u64>1 << (number - CSR_CYCLE), privilege);
  }
  if (privilege != SUPERVISOR) return true;
  if (number == CSR_SATP) return (load<u64>(hart + MSTATUS) & TVM) == 0;
  if (number == CSR_STIMECMP) {
    return isTimerSupervised() && (load<u64>(hart + MCOUNTEREN) & TIME_BIT) != 0;
  }
  return true;
}

function isCounterOpen(counter: u64, privilege: u32): bool {
  if (privilege == MACHINE) return true;
  if ((load<u64>(hart + MCOUNTEREN) & counter) == 0) return false;
  return privilege != USER || (load<u64>(hart + SCOUNTEREN) & counter) != 0;
}

// Sets `csrValue`. False: there is no such register.
export function readCsr(number: u32): bool {
  if (number >= CSR_PMPADDR0 && number <= CSR_PMPADDR15) {
    csrValue = readPmpAddress(number - CSR_PMPADDR0);
    return true;
  }
  if (isConstantZero(number)) {
    csrValue = 0;
    return true;
  }
  return readSupervisor(number) || readMachine(number);
}

function isConstantZero(number: u32): bool {
  return (number >= CSR_MHPMCOUNTER3 && number <= CSR_MHPMCOUNTER31) ||
    (number > CSR_INSTRET && number <= CSR_HPMCOUNTER31) ||
    (number >= CSR_MHPMEVENT3 && number <= CSR_MHPMEVENT31) ||
    (number >= CSR_TSELECT && number <= CSR_TDATA3) ||
    (number >= CSR_MVENDORID && number <= CSR_MIMPID) || number == CSR_MCONFIGPTR;
}

// Of user and supervisor mode.
function readSupervisor(number: u32): bool {
  switch (number) {
    case CSR_FFLAGS: csrValue = floatFlags; break;
    case CSR_FRM: csrValue = load<u32>(hart + FCSR) >> 5; break;
    case CSR_FCSR: csrValue = (load<u32>(hart + FCSR) & 0xe0) | floatFlags; break;
    case CSR_CYCLE: csrValue = readCounter(CYCLE_BIT); break;
    case CSR_TIME: csrValue = readTime(); break;
    case CSR_INSTRET: csrValue = readCounter(INSTRET_BIT); break;
    case CSR_SSTATUS: csrValue = load<u64>(hart + MSTATUS) & SSTATUS_MASK; break;
    case CSR_SIE: csrValue = load<u64>(hart + MIE) & load<u64>(hart + MIDELEG); break;
    case CSR_STVEC: csrValue = load<u64>(hart + STVEC); break;
    case CSR_SCOUNTEREN: csrValue = load<u64>(hart + SCOUNTEREN); break;
    case CSR_SENVCFG: csrValue = load<u64>(hart + SENVCFG); break;
    case CSR_SSCRATCH: csrValue = load<u64>(hart + SSCRATCH); break;
    case CSR_SEPC: csrValue = load<u64>(hart + SEPC); break;
    case CSR_SCAUSE: csrValue = load<u64>(hart + SCAUSE); break;
    case CSR_STVAL: csrValue = load<u64>(hart + STVAL); break;
    case CSR_SIP:
      csrValue = <u64>atomic.load<u32>(hart + MIP) & load<u64>(hart + MIDELEG);
      break;
    case CSR_STIMECMP: csrValue = load<u64>(hart + STIMECMP); break;
    case CSR_SATP: csrValue = load<u64>(hart + SATP); break;
    default: return false;
  }
  return true;
}

function readMachine(number: u32): bool {
  switch (number) {
    case CSR_MSTATUS: csrValue = load<u64>(hart + MSTATUS); break;
    case CSR_MISA: csrValue = MISA_VALUE; break;
    case CSR_MEDELEG: csrValue = load<u64>(hart + MEDELEG); break;
    case CSR_MIDELEG: csrValue = load<u64>(hart + MIDELEG); break;
    case CSR_MIE: csrValue = load<u64>(hart + MIE); break;
    case CSR_MTVEC: csrValue = load<u64>(hart + MTVEC); break;
    case CSR_MCOUNTEREN: csrValue = load<u64>(hart + MCOUNTEREN); break;
    case CSR_MCOUNTINHIBIT: csrValue = load<u64>(hart + MCOUNTINHIBIT); break;
    case CSR_MENVCFG: csrValue = load<u64>(hart + MENVCFG); break;
    case CSR_MSCRATCH: csrValue = load<u64>(hart + MSCRATCH); break;
    case CSR_MEPC: csrValue = load<u64>(hart + MEPC); break;
    case CSR_MCAUSE: csrValue = load<u64>(hart + MCAUSE); break;
    case CSR_MTVAL: csrValue = load<u64>(hart + MTVAL); break;
    case CSR_MIP: csrValue = atomic.load<u32>(hart + MIP); break;
    case CSR_MCYCLE: csrValue = readCounter(CYCLE_BIT); break;
    case CSR_MINSTRET: csrValue = readCounter(INSTRET_BIT); break;
    case CSR_MHARTID: csrValue = load<u64>(hart + MHARTID); break;
    case CSR_PMPCFG0: csrValue = readPmpConfiguration(0); break;
    case CSR_PMPCFG2: csrValue = readPmpConfiguration(2); break;
    case CSR_TINFO: csrValue = TINFO_NONE; break;
    default: return false;
  }
  return true;
}
