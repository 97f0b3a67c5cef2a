/** How a vCPU that dirties too much is slowed (reference: qemu, 3.4). Pure. */

/** QEMU lets so much pass, MB/s; a small limit would then be none, so at most this share of it. */
const TOLERANCE_MEGABYTES = 25;
const TOLERANCE_SHARE = 0.1;
/** Beyond this share of the larger rate the step is as large as the error. */
const LARGE_ERROR = 0.5;
const SMALL_STEP = 0.1;
/** Time asleep to time awake: 99 percent. */
const SLEEP_RATIO_MAX = 99;

/**
 * Time asleep to time awake of the next period, from that of the last one and what the vCPU dirtied
 * in it, MB/s. A vCPU that keeps its limit is let go again, in small steps.
 */
export function nextSleepRatio(ratio: number, limit: number, current: number): number {
  const error = current - limit;
  const tolerance = Math.min(TOLERANCE_MEGABYTES, limit * TOLERANCE_SHARE);
  if (Math.abs(error) <= tolerance) return ratio;
  const larger = Math.max(limit, current);
  const share = Math.abs(error) / larger;
  const step =
    share > LARGE_ERROR ? Math.abs(error) / Math.min(limit, current || limit) : SMALL_STEP;
  const next = error > 0 ? ratio + step : ratio - step;
  return Math.min(SLEEP_RATIO_MAX, Math.max(0, next));
}

/** The same as a share of the whole, percent, 0 to 99. */
export function sleepPercent(ratio: number): number {
  return Math.min(99, Math.round((100 * ratio) / (1 + ratio)));
}
