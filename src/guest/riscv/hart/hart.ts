// A RISC-V hart: RV64IMAFDC with machine, supervisor and user mode, Sv39, PMP and Sstc. One
// instance serves one hart. README.md tells what is where; hart-layout.ts, what its state is.
import { configureContext, selectDirtyMap, selectPostcopy } from './context';
import { dropAllCode } from './memory/code-pages';
import { resetPmp } from './memory/pmp';
import { flushTlbs, flushWriteTlb, resetTlbs } from './memory/tlb';

export { hartRun, hartStopReason, hartRequestStop } from './execute/execute';
export { updateTimer as hartUpdateTimer } from './privileged/counters';
// A device wrote to a page of RAM: instructions that were decoded from it are out of date.
export { noteCodeWrite as hartCodeWritten } from './memory/code-watch';
export { dropAllCode as hartFlushCode } from './memory/code-pages';
export { resetHart as hartReset, resetToSupervisor as hartResetToSupervisor } from './privileged/reset';

export function hartConfigure(area: usize, ram: usize, ramPages: u32, receivedMap: usize): void {
  configureContext(area, ram, ramPages, receivedMap);
  hartFlush();
}

// A mark in this map stands for a page that may be written without a look at it.
export function hartSelectMap(map: usize): void {
  selectDirtyMap(map);
  flushWriteTlb();
}

// Whether pages may be missing. Those in the TLBs were there when they were entered.
export function hartPostcopy(on: i32): void {
  selectPostcopy(on != 0);
  if (!on) return;
  flushTlbs();
  dropAllCode();
}

// After the state was changed from outside: nothing that was derived from it is kept.
export function hartFlush(): void {
  resetTlbs();
  resetPmp();
  dropAllCode();
}

// Of translations only: what a remote fence of another hart asks for.
export { flushTlbs as hartFlushTranslations } from './memory/tlb';
