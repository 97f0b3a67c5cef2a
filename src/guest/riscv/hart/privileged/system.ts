// The instructions of the SYSTEM opcode: calls, returns, WFI, SFENCE.VMA and access to CSRs.
import {
  CAUSE_BREAKPOINT, CAUSE_ECALL, CAUSE_ILLEGAL, DONE, hart, INTERRUPTED, MACHINE, raise, SUPERVISOR,
  SYNCHRONISE, USER,
} from '../context';
import {
  MEPC, MSTATUS, PC, PRIVILEGE, SBI_ENABLED, SEPC, WAITING, X_REGISTERS,
} from '../hart-layout';
import { flushAddress, flushAddressSpace, flushTlbs } from '../memory/tlb';
import { CSR_FCSR } from './csr-numbers';
import { csrValue, isCsrOpen, readCsr } from './csr-read';
import { writeCsr } from './csr-write';
import { MIE_BIT, MPIE, MPP, MPP_SHIFT, SIE, SPIE, SPP } from './trap';

// A call to the host's SBI, with its arguments and results in the registers of the state block: 0
// done, 1 interrupted, to be repeated.
@external("env", "sbiCall")
declare function sbiCall(): i32;

const MPRV: u64 = 1 << 17;
const TVM: u64 = 1 << 20;
const TW: u64 = 1 << 21;
const TSR: u64 = 1 << 22;

const ECALL: u32 = 0x00000073;
const EBREAK: u32 = 0x00100073;
const SRET: u32 = 0x10200073;
const MRET: u32 = 0x30200073;
const WFI: u32 = 0x10500073;
const SFENCE_VMA: u32 = 0x12000073;
// All but its two registers.
const SFENCE_MASK: u32 = 0xfe007fff;

// Whether the last instruction was a return, until that is taken; and where it goes on.
export let isReturn: bool = false;
let returnPc: u64 = 0;

export function takeReturn(): u64 {
  isReturn = false;
  return returnPc;
}

@inline function register(index: u32): u64 {
  return load<u64>(hart + X_REGISTERS + (index << 3));
}

// DONE only for what nothing else depends on.
export function executeSystem(instruction: u32, pc: u64): u32 {
  if (((instruction >> 12) & 7) != 0) return accessCsr(instruction);
  const privilege = load<u32>(hart + PRIVILEGE);
  const status = load<u64>(hart + MSTATUS);
  switch (instruction) {
    case ECALL: return call(privilege, pc);
    case EBREAK: return raise(CAUSE_BREAKPOINT, pc);
    case SRET:
      if (privilege == USER || (privilege == SUPERVISOR && (status & TSR) != 0)) break;
      returnToSupervised(status);
      return SYNCHRONISE;
    case MRET:
      if (privilege != MACHINE) break;
      returnToAny(status);
      return SYNCHRONISE;
    case WFI:
      if (privilege == USER || (privilege == SUPERVISOR && (status & TW) != 0)) break;
      store<u32>(hart + WAITING, 1);
      return SYNCHRONISE;
  }
  if ((instruction & SFENCE_MASK) == SFENCE_VMA) {
    if (privilege == MACHINE || (privilege == SUPERVISOR && (status & TVM) == 0)) {
      fenceTranslations((instruction >> 15) & 31, (instruction >> 20) & 31);
      return SYNCHRONISE;
    }
  }
  return raise(CAUSE_ILLEGAL, instruction);
}

function call(privilege: u32, pc: u64): u32 {
  if (privilege != SUPERVISOR || load<u32>(hart + SBI_ENABLED) == 0) {
    return raise(CAUSE_ECALL + privilege, 0);
  }
  store<u64>(hart + PC, pc);
  return sbiCall() == 0 ? SYNCHRONISE : INTERRUPTED;
}

// From a trap to supervisor mode, to it or to user mode.
function returnToSupervised(status: u64): void {
  const interrupts = (status & SPIE) != 0 ? SIE : 0;
  store<u32>(hart + PRIVILEGE, (status & SPP) != 0 ? SUPERVISOR : USER);
  store<u64>(hart + MSTATUS, (status & ~(SIE | SPP | MPRV)) | SPIE | interrupts);
  returnPc = load<u64>(hart + SEPC);
  isReturn = true;
}

function returnToAny(status: u64): void {
  const interrupts = (status & MPIE) != 0 ? MIE_BIT : 0;
  const privilege = <u32>((status & MPP) >> MPP_SHIFT);
  const kept = privilege == MACHINE ? status & ~(MIE_BIT | MPP) : status & ~(MIE_BIT | MPP | MPRV);
  store<u32>(hart + PRIVILEGE, privilege);
  store<u64>(hart + MSTATUS, kept | MPIE | interrupts);
  returnPc = load<u64>(hart + MEPC);
  isReturn = true;
}

function fenceTranslations(address: u32, space: u32): void {
  if (address != 0) flushAddress(register(address));
  else if (space != 0) flushAddressSpace();
  else flushTlbs();
}

function accessCsr(instruction: u32): u32 {
  const number = instruction >> 20;
  const kind = (instruction >> 12) & 3;
  const source = (instruction >> 15) & 31;
  const rd = (instruction >> 7) & 31;
  // CSRRS and CSRRC of nothing do not write; kind 0 is no instruction.
  const isWrite = kind == 1 || source != 0;
  if (kind == 0 || !isCsrOpen(number, isWrite) || !readCsr(number)) {
    return raise(CAUSE_ILLEGAL, instruction);
  }
  const old = csrValue;
  if (isWrite) {
    const operand = (instruction & 0x4000) != 0 ? <u64>source : register(source);
    const value = kind == 1 ? operand : kind == 2 ? old | operand : old & ~operand;
    writeCsr(number, value, kind == 1 ? <u64>-1 : operand);
  }
  if (rd != 0) store<u64>(hart + X_REGISTERS + (rd << 3), old);
  return isWrite && number > CSR_FCSR ? SYNCHRONISE : DONE;
}
