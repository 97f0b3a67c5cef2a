import type { Clock } from '../base/index.ts';
import type { Heartbeat, Machine } from '../guestmem/index.ts';

/**
 * The guest is watched for this long after it resumed: a stall right after the switch belongs to
 * it.
 */
const OBSERVE_MS = 100;
const OBSERVE_LIMIT_MS = 3_000;

export interface GuestDowntime {
  readonly firstStepMs: readonly number[];
  readonly longestGapMs: number;
  /** Null when the clocks of the hosts could not be compared, or no vCPU stepped. */
  readonly guestDowntimeUs: number | null;
}

/**
 * The downtime as the guest saw it: the longest gap between two steps of any vCPU around the
 * switch. `lastStepMs` is when each vCPU last stepped at the source, in this side's clock (NaN:
 * unknown).
 */
export async function observeGuestDowntime(
  machine: Machine,
  clock: Clock,
  lastStepMs: readonly number[],
): Promise<GuestDowntime> {
  const startMs = clock.nowMs();
  await clock.sleep(OBSERVE_MS);
  while (!allStepped(machine.heartbeats()) && clock.nowMs() - startMs < OBSERVE_LIMIT_MS) {
    await clock.sleep(OBSERVE_MS / 10);
  }
  return guestDowntime(machine.heartbeats(), lastStepMs);
}

export function guestDowntime(
  beats: readonly Heartbeat[],
  lastStepMs: readonly number[],
): GuestDowntime {
  const gaps = beats.map((beat) => beat.firstStepMs - (lastStepMs[beat.vcpu] ?? Number.NaN));
  const later = beats.map((beat) => beat.longestGapMs).filter((gapMs) => !Number.isNaN(gapMs));
  const longestGapMs = later.length === 0 ? Number.NaN : Math.max(...later);
  // One vCPU whose last step is unknown makes the maximum unknown.
  const switchGapMs = Math.max(...gaps);
  const worstMs = Number.isNaN(longestGapMs) ? switchGapMs : Math.max(switchGapMs, longestGapMs);
  return {
    firstStepMs: beats.map((beat) => beat.firstStepMs),
    longestGapMs,
    // A negative gap is the clocks' error.
    guestDowntimeUs: Number.isFinite(worstMs) ? Math.max(0, Math.round(worstMs * 1000)) : null,
  };
}

function allStepped(beats: readonly Heartbeat[]): boolean {
  return beats.every((beat) => !Number.isNaN(beat.firstStepMs));
}
