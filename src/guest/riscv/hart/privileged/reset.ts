// The state at power-on, and the state in which firmware would enter a supervisor.
import { hart, MACHINE, SUPERVISOR } from '../context';
import {
  MCOUNTEREN, MEDELEG, MENVCFG, MHARTID, MIDELEG, MSTATUS, PC, PMPADDR, PMPCFG, PRIVILEGE,
  SBI_ENABLED, SCOUNTEREN, STATE_BYTES, STIMECMP, X_REGISTERS,
} from '../hart-layout';
import { dropAllCode } from '../memory/code-pages';
import { resetPmp } from '../memory/pmp';
import { resetTlbs } from '../memory/tlb';
import { writeStatus } from './csr-write';

const A0: usize = X_REGISTERS + 10 * 8;
const A1: usize = X_REGISTERS + 11 * 8;
const NEVER: u64 = 0xffffffffffffffff;
// Instruction and data of user mode; misaligned fetches; breakpoints; page faults.
const DELEGATED_EXCEPTIONS: u64 = 0xb1ff;
const DELEGATED_INTERRUPTS: u64 = 0x222;
const CYCLE_TIME_INSTRET: u64 = 7;
const STCE: u64 = 0x8000000000000000;
// Everything, as a power of two; readable, writable and executable.
const ALL_MEMORY: u64 = 0x003fffffffffffff;
const ALL_ACCESS: u32 = 0x1f;

// In machine mode at `pc`, with the number of the hart in a0 and what follows in a1.
export function resetHart(pc: u64, id: u64, argument: u64): void {
  memory.fill(hart, 0, STATE_BYTES);
  store<u64>(hart + PC, pc);
  store<u64>(hart + MHARTID, id);
  store<u64>(hart + A0, id);
  store<u64>(hart + A1, argument);
  store<u64>(hart + STIMECMP, NEVER);
  store<u32>(hart + PRIVILEGE, MACHINE);
  writeStatus(0);
  resetTlbs();
  resetPmp();
  dropAllCode();
}

// In supervisor mode at `pc`; the host answers its calls.
export function resetToSupervisor(pc: u64, id: u64, argument: u64): void {
  resetHart(pc, id, argument);
  store<u32>(hart + PRIVILEGE, SUPERVISOR);
  store<u32>(hart + SBI_ENABLED, 1);
  store<u64>(hart + MEDELEG, DELEGATED_EXCEPTIONS);
  store<u64>(hart + MIDELEG, DELEGATED_INTERRUPTS);
  store<u64>(hart + MCOUNTEREN, CYCLE_TIME_INSTRET);
  // Linux leaves this to firmware, and its users read the time by themselves.
  store<u64>(hart + SCOUNTEREN, CYCLE_TIME_INSTRET);
  store<u64>(hart + MENVCFG, STCE);
  store<u64>(hart + PMPADDR, ALL_MEMORY);
  store<u8>(hart + PMPCFG, ALL_ACCESS);
  resetPmp();
}
