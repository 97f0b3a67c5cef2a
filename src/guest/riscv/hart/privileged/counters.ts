// Time, the timer's comparison, and the counters.
import { hart } from '../context';
import {
  DETERMINISTIC, MCOUNTINHIBIT, MCYCLE_OFFSET, MENVCFG, MINSTRET_OFFSET, MIP, STEPS, STIMECMP,
  TIME_BASE, TRAPPED_STEPS,
} from '../hart-layout';

// Ticks of 10 MHz.
@external("env", "timeNow")
declare function timeNow(): f64;

const STEPS_PER_TICK: u64 = 10;
const STIP: u32 = 1 << 5;
const STCE: u64 = 0x8000000000000000;
export const CYCLE_BIT: u64 = 1;
export const INSTRET_BIT: u64 = 4;

export function readTime(): u64 {
  if (load<u32>(hart + DETERMINISTIC) == 0) return <u64>timeNow();
  return load<u64>(hart + TIME_BASE) + load<u64>(hart + STEPS) / STEPS_PER_TICK;
}

@inline export function isTimerSupervised(): bool {
  return (load<u64>(hart + MENVCFG) & STCE) != 0;
}

// Sets or clears the timer's interrupt, where stimecmp is in charge of it.
export function updateTimer(): void {
  if (!isTimerSupervised()) return;
  if (readTime() >= load<u64>(hart + STIMECMP)) atomic.or<u32>(hart + MIP, STIP);
  else atomic.and<u32>(hart + MIP, ~STIP);
}

@inline function offsetOf(counter: u64): usize {
  return hart + (counter == CYCLE_BIT ? MCYCLE_OFFSET : MINSTRET_OFFSET);
}

// What the counter would be if it never had been written.
@inline function raw(counter: u64): u64 {
  const steps = load<u64>(hart + STEPS);
  return counter == CYCLE_BIT ? steps : steps - load<u64>(hart + TRAPPED_STEPS);
}

@inline function isInhibited(counter: u64): bool {
  return (load<u64>(hart + MCOUNTINHIBIT) & counter) != 0;
}

export function readCounter(counter: u64): u64 {
  const offset = load<u64>(offsetOf(counter));
  return isInhibited(counter) ? offset : raw(counter) + offset;
}

// The next instruction reads what was written: the write stands in for this one's own count.
export function writeCounter(counter: u64, value: u64): void {
  store<u64>(offsetOf(counter), isInhibited(counter) ? value : value - raw(counter) - 1);
}

export function writeInhibit(value: u64): void {
  const cycle = readCounter(CYCLE_BIT);
  const instret = readCounter(INSTRET_BIT);
  store<u64>(hart + MCOUNTINHIBIT, value & (CYCLE_BIT | INSTRET_BIT));
  store<u64>(offsetOf(CYCLE_BIT), isInhibited(CYCLE_BIT) ? cycle : cycle - raw(CYCLE_BIT));
  store<u64>(offsetOf(INSTRET_BIT), isInhibited(INSTRET_BIT) ? instret : instret - raw(INSTRET_BIT));
}
