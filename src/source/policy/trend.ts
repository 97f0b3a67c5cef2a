import type { PolicyPass } from './policy.ts';
import { busyShareOf, guestSpeed } from './throttle.ts';

/** Older passes tell of what the guest did then. */
const RECENT_PASSES = 8;
/** So many passes without progress are a plateau; one or two are chance. */
const PLATEAU_PASSES = 3;
/** Less than this share is no progress. */
const PROGRESS_SHARE = 0.05;

/** Pages that the guest writes again and again, as far as the last passes tell. */
export function workingSetPages(history: readonly PolicyPass[]): number {
  return Math.max(0, ...recent(history).map(({ dirtiedPages }) => dirtiedPages));
}

/** Beyond this share of the working set a pass tells little of how fast it was written. */
const SATURATED_SHARE = 0.95;
const RATE_PASSES = 4;

/**
 * Writes to pages of the working set, at the throttle of now. In a long pass many of them meet a
 * page that counts already, so what became dirty is taken for the outcome of writes at random
 * ({@link dirtiedIn}); of the last passes the one with the fewest meetings tells best.
 */
export function writesPerMs(history: readonly PolicyPass[], throttlePercent: number): number {
  const workingSet = workingSetPages(history);
  const passes = history.slice(-RATE_PASSES).filter(({ durationMs }) => durationMs > 0);
  const [best] = passes.toSorted((first, second) => first.dirtiedPages - second.dirtiedPages);
  if (best === undefined || workingSet === 0) return 0;
  const share = Math.min(SATURATED_SHARE, best.dirtiedPages / workingSet);
  const busyShare = busyShareOf(history);
  const speed =
    guestSpeed(throttlePercent, busyShare) / guestSpeed(best.throttlePercent, busyShare);
  return ((-workingSet * Math.log(1 - share)) / best.durationMs) * speed;
}

/** Pages that become dirty in a pass, each counted once. */
export function dirtiedIn(passMs: number, workingSet: number, perMs: number): number {
  return workingSet === 0 ? 0 : workingSet * (1 - Math.exp((-perMs * passMs) / workingSet));
}

/** Bytes that were left to send after a pass, encoded as in it. */
export function leftBytes(pass: PolicyPass): number {
  return (pass.remainingPages * pass.wireBytes) / Math.max(1, pass.dirtyPages);
}

/**
 * How what is left has changed lately. `unknown` before there are enough passes. `plateau`: the
 * last three have left no less than the best before them. `rising`: and each more than the one
 * before.
 */
export function trendOf(
  history: readonly PolicyPass[],
): 'unknown' | 'falling' | 'plateau' | 'rising' {
  if (history.length <= PLATEAU_PASSES) return 'unknown';
  const left = recent(history).map(leftBytes);
  const last = left.slice(-PLATEAU_PASSES);
  const before = left.slice(0, -PLATEAU_PASSES);
  if (Math.min(...last) < Math.min(...before) * (1 - PROGRESS_SHARE)) return 'falling';
  const isRising = last.every(
    (bytes, index) => bytes > ([before.at(-1) ?? 0, ...last][index] ?? 0) * (1 + PROGRESS_SHARE),
  );
  return isRising ? 'rising' : 'plateau';
}

export interface Standstill {
  readonly passes: number;
  readonly ms: number;
  /** Before it, while each pass or two still left less than any before. */
  readonly progressMs: number;
}

/** For how long no pass has left less than the least before it. */
export function standstillOf(history: readonly PolicyPass[]): Standstill {
  let least = Number.POSITIVE_INFINITY;
  let progressMs = 0;
  let ms = 0;
  let passes = 0;
  for (const pass of history) {
    passes += 1;
    ms += pass.durationMs;
    const left = leftBytes(pass);
    if (left >= least * (1 - PROGRESS_SHARE)) continue;
    least = left;
    progressMs += ms;
    [passes, ms] = [0, 0];
  }
  return { passes, ms, progressMs };
}

function recent(history: readonly PolicyPass[]): readonly PolicyPass[] {
  return history.slice(-RECENT_PASSES);
}
