// Traps and interrupts: who takes them, and what they leave in the CSRs.
import { hart, MACHINE, SUPERVISOR } from '../context';
import {
  MCAUSE, MEDELEG, MEPC, MIDELEG, MIE, MIP, MSTATUS, MTVAL, MTVEC, PRIVILEGE, SCAUSE, SEPC, STVAL,
  STVEC, TRAPPED_STEPS,
} from '../hart-layout';
import { dropReservation } from '../memory/atomics';

export const SIE: u64 = 1 << 1;
export const MIE_BIT: u64 = 1 << 3;
export const SPIE: u64 = 1 << 5;
export const MPIE: u64 = 1 << 7;
export const SPP: u64 = 1 << 8;
export const MPP: u64 = 3 << 11;
export const MPP_SHIFT: u64 = 11;
const INTERRUPT: u64 = 0x8000000000000000;
export const NO_INTERRUPT: u64 = 0;

// An instruction trapped. Returns where to go on.
export function takeException(pc: u64, cause: u32, value: u64): u64 {
  store<u64>(hart + TRAPPED_STEPS, load<u64>(hart + TRAPPED_STEPS) + 1);
  return enterTrap(pc, cause, value, load<u64>(hart + MEDELEG) >> cause);
}

// `cause` as `pendingInterrupt` tells it.
export function takeInterrupt(pc: u64, cause: u64): u64 {
  return enterTrap(pc, cause, 0, load<u64>(hart + MIDELEG) >> (cause & 63));
}

function enterTrap(pc: u64, cause: u64, value: u64, delegated: u64): u64 {
  const privilege = <u64>load<u32>(hart + PRIVILEGE);
  const status = load<u64>(hart + MSTATUS);
  dropReservation();
  if (privilege <= SUPERVISOR && (delegated & 1) != 0) {
    store<u64>(hart + SEPC, pc);
    store<u64>(hart + SCAUSE, cause);
    store<u64>(hart + STVAL, value);
    const previous = (status & SIE) != 0 ? SPIE : 0;
    store<u64>(hart + MSTATUS, (status & ~(SIE | SPIE | SPP)) | previous | (privilege << 8));
    store<u32>(hart + PRIVILEGE, SUPERVISOR);
    return handler(load<u64>(hart + STVEC), cause);
  }
  store<u64>(hart + MEPC, pc);
  store<u64>(hart + MCAUSE, cause);
  store<u64>(hart + MTVAL, value);
  const previous = (status & MIE_BIT) != 0 ? MPIE : 0;
  const cleared = status & ~(MIE_BIT | MPIE | MPP);
  store<u64>(hart + MSTATUS, cleared | previous | (privilege << MPP_SHIFT));
  store<u32>(hart + PRIVILEGE, MACHINE);
  return handler(load<u64>(hart + MTVEC), cause);
}

function handler(vector: u64, cause: u64): u64 {
  const base = vector & ~<u64>3;
  const isVectored = (vector & 1) != 0 && (cause & INTERRUPT) != 0;
  return isVectored ? base + ((cause & 63) << 2) : base;
}

// Whether an interrupt that is enabled in mie is pending, taken or not: what ends WFI.
@inline export function isAnyPending(): bool {
  return (atomic.load<u32>(hart + MIP) & load<u32>(hart + MIE)) != 0;
}

// The cause of the interrupt that is to be taken now, or NO_INTERRUPT.
export function pendingInterrupt(): u64 {
  const pending = atomic.load<u32>(hart + MIP) & load<u32>(hart + MIE);
  const delegated = load<u32>(hart + MIDELEG);
  const privilege = load<u32>(hart + PRIVILEGE);
  const status = load<u64>(hart + MSTATUS);
  const forMachine = pending & ~delegated;
  if (forMachine != 0 && (privilege < MACHINE || (status & MIE_BIT) != 0)) return first(forMachine);
  const forSupervisor = pending & delegated;
  const isOpen = privilege < SUPERVISOR || (privilege == SUPERVISOR && (status & SIE) != 0);
  return forSupervisor != 0 && isOpen ? first(forSupervisor) : NO_INTERRUPT;
}

// The order of the ISA: external, software, timer; machine before supervisor.
function first(pending: u32): u64 {
  let code: u64 = 5;
  if ((pending & (1 << 11)) != 0) code = 11;
  else if ((pending & (1 << 3)) != 0) code = 3;
  else if ((pending & (1 << 7)) != 0) code = 7;
  else if ((pending & (1 << 9)) != 0) code = 9;
  else if ((pending & (1 << 1)) != 0) code = 1;
  return INTERRUPT | code;
}
