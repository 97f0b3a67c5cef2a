import { PAGE_BYTES } from '../../base/index.ts';
import type { Policy, PolicyPass, PolicyRound, ThrottleLimits } from './policy.ts';
import { byUserRules } from './user-rules.ts';

/** The throttle is thought over at a bitmap sync so long after the last time at least. */
const THROTTLE_PERIOD_MS = 1000;
/** So many periods in which the guest was too fast make a step. */
const THROTTLE_HIGH_PERIODS = 2;

/**
 * QEMU's rule as it is, mistakes included (reference: qemu, 3.2, 3.3, 3.12): *raw* dirty bytes
 * against the *wire* bandwidth of the last 100 ms, whatever held that back, the user's limit
 * included. With deltas it switches late and throttles too much, which is what it is here to show.
 */
export const qemuPolicy: Policy = {
  name: 'qemu',

  decide(round) {
    const { limits, remainingPages } = round;
    const pendingBytes = remainingPages * PAGE_BYTES;
    const thresholdBytes = switchoverBytesPerMs(round) * limits.downtimeLimitMs;
    if (pendingBytes <= thresholdBytes) return { action: 'stop-and-copy', reason: 'converged' };
    const ruled = byUserRules(round);
    if (ruled !== undefined) return ruled;
    const throttle = limits.autoConverge;
    if (throttle === undefined) return { action: 'iterate' };
    // It never lets go again, also when the passes in which it stepped up are forgotten.
    const percent = Math.max(round.throttlePercent, qemuThrottle(round.history, throttle));
    return { action: 'iterate', throttlePercent: percent };
  },
};

function switchoverBytesPerMs({ limits, windowBytesPerMs }: PolicyRound): number {
  const assumed = limits.availSwitchoverBandwidthBytesPerSecond / 1000;
  return assumed > 0 ? assumed : (windowBytesPerMs ?? 0);
}

/** The throttle at which auto-converge has arrived after these passes, percent; 0: none yet. */
export function qemuThrottle(history: readonly PolicyPass[], limits: ThrottleLimits): number {
  let percent = 0;
  let high = 0;
  let period = { ms: 0, dirtyBytes: 0, sentBytes: 0 };
  for (const pass of history) {
    period = {
      ms: period.ms + pass.durationMs,
      dirtyBytes: period.dirtyBytes + pass.dirtiedPages * PAGE_BYTES,
      sentBytes: period.sentBytes + pass.wireBytes,
    };
    if (period.ms < THROTTLE_PERIOD_MS) continue;
    const { dirtyBytes, sentBytes } = period;
    // A good period does not take a bad one back.
    if (dirtyBytes > (sentBytes * limits.triggerPercent) / 100) high += 1;
    if (high >= THROTTLE_HIGH_PERIODS) {
      high = 0;
      percent = stepUp(percent, limits, dirtyBytes, sentBytes);
    }
    period = { ms: 0, dirtyBytes: 0, sentBytes: 0 };
  }
  return percent;
}

function stepUp(
  percent: number,
  limits: ThrottleLimits,
  dirtyBytes: number,
  sentBytes: number,
): number {
  if (percent === 0) return limits.initialPercent;
  const runningPercent = 100 - percent;
  const idealPercent = (runningPercent * ((sentBytes * limits.triggerPercent) / 100)) / dirtyBytes;
  const needed = Math.trunc(runningPercent - idealPercent);
  const step = limits.tailslow
    ? Math.min(limits.incrementPercent, needed)
    : limits.incrementPercent;
  return Math.min(limits.maxPercent, percent + step);
}
