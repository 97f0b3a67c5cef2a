import { SliceInterrupted } from '../guestmem/index.ts';

/** False when a missing page ended the run because the vCPU was called to its safepoint. */
export function runToSafepoint(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof SliceInterrupted) return false;
    throw error;
  }
}
