/** Longest sleep at a stretch that a throttle imposes: the guest must not look dead. */
const THROTTLE_SLEEP_MS_MAX = 10;
/** Below this, sleeping is not precise: the debt is collected. */
const THROTTLE_SLEEP_MS_MIN = 1;
/**
 * What is owed beyond this is forgiven: a slice that the host made long, or a throttle that was
 * higher, must not keep the guest slow for long afterwards.
 */
const DEBT_MS_MAX = 10 * THROTTLE_SLEEP_MS_MAX;

/** Slices of 200 us between sleeps of 10 ms: no throttle takes more of the time of a vCPU. */
export const ASLEEP_PERCENT_MAX = 98;

/** Why a vCPU is made to sleep; of several reasons the strictest one holds. */
export type ThrottleReason = 'migration' | 'dirty-limit';

export interface ThrottleSlice {
  /** 0: go on. */
  readonly sleepMs: number;
  /** Still owed before the sleep; what was slept is to be taken off. */
  readonly debtMs: number;
}

/**
 * What a vCPU owes after it ran for `ranMs` under a throttle of `percent`, and how long it sleeps
 * of that now. At the highest throttles ASLEEP_PERCENT_MAX is the limit.
 */
export function throttleSlice(debtMs: number, ranMs: number, percent: number): ThrottleSlice {
  if (percent <= 0) return { sleepMs: 0, debtMs: 0 };
  const owedMs = Math.min(DEBT_MS_MAX, debtMs + (ranMs * percent) / (100 - percent));
  const sleepMs = owedMs < THROTTLE_SLEEP_MS_MIN ? 0 : Math.min(owedMs, THROTTLE_SLEEP_MS_MAX);
  return { sleepMs, debtMs: owedMs };
}
