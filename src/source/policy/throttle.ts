import { defaultParameters } from '../../base/index.ts';
import { ASLEEP_PERCENT_MAX } from '../../guestmem/index.ts';
import type { PolicyPass, PolicyRound, ThrottleLimits } from './policy.ts';

/** So long the guest must have run at one throttle, in at least so many passes, before it moves. */
const SETTLED_MS = 250;
const SETTLED_PASSES = 2;
/** A pass of this length is enough by itself. */
const LONG_PASS_MS = 1000;
/** A share of 0 is one that was not seen. */
const BUSY_SHARE_MIN = 0.001;
/** A step down must leave that much room, or the next one would be up again. */
const DOWN_MARGIN = 0.8;

/**
 * Auto-converge of policy `auto`: the throttle to go on with, percent. It compares guest pages with
 * guest pages, those that became dirty with those that were retired in the same time, so deltas are
 * not taken for a slow link. Unlike QEMU's it steps down again when the guest could be faster and
 * what it dirties would still leave.
 */
export function nextThrottle(round: PolicyRound, limits: ThrottleLimits): number {
  const { throttlePercent: percent, history } = round;
  const settled = passesAt(history, percent);
  if (!hasSettled(settled)) return percent;
  const trigger = limits.triggerPercent / 100;
  const share = dirtiedShare(settled, round);
  if (share > trigger) return stepUp(round, share / trigger, limits);
  if (percent === 0) return 0;
  const down = percent - limits.incrementPercent;
  const next = down < limits.initialPercent ? 0 : down;
  const busyShare = busyShareOf(history);
  const shareThen = (share * guestSpeed(next, busyShare)) / guestSpeed(percent, busyShare);
  return shareThen <= trigger * DOWN_MARGIN ? next : percent;
}

/**
 * Share of its speed that a guest keeps under a throttle, 0 to 1, when its busiest vCPU would
 * run for `busyShare` of its time: one that waits anyway is not slowed before it sleeps longer.
 */
export function guestSpeed(throttlePercent: number, busyShare: number): number {
  const asleep = Math.min(throttlePercent, ASLEEP_PERCENT_MAX);
  return Math.min(1, (100 - asleep) / (100 * busyShare));
}

/** The lowest throttle that leaves no more than `speed`, percent. */
export function throttleFor(speed: number, busyShare: number): number {
  return 100 - 100 * speed * busyShare;
}

/**
 * For what share of its time the busiest vCPU would run if nothing held it back, as far as the
 * passes tell. One without a throttle shows it, a later one under a throttle what it is at least.
 */
export function busyShareOf(history: readonly PolicyPass[]): number {
  const free = history.findLastIndex(({ throttlePercent }) => throttlePercent === 0);
  if (free < 0) return 1;
  const shares = history.slice(free).map(({ busyShare }) => busyShare);
  return Math.max(BUSY_SHARE_MIN, ...shares);
}

/**
 * How long auto-converge is on its way from its first step to a throttle, by QEMU's defaults and in
 * passes of `passMs`: each step waits for what the one before has brought.
 */
export function rampMs(percent: number, passMs: number): number {
  const { cpuThrottleInitialPercent, cpuThrottleIncrementPercent } = defaultParameters();
  const beyondFirst = Math.max(0, percent - cpuThrottleInitialPercent);
  const steps = Math.ceil(beyondFirst / cpuThrottleIncrementPercent);
  const settledMs = Math.max(SETTLED_PASSES * passMs, SETTLED_MS);
  return steps * (passMs >= LONG_PASS_MS ? passMs : settledMs);
}

/** More than `triggerPercent` of what can leave has become dirty meanwhile, and not just once. */
export function outrunsLink(round: PolicyRound, triggerPercent: number): boolean {
  const { history } = round;
  return hasSettled(history) && dirtiedShare(history, round) > triggerPercent / 100;
}

/** `excess`: how many times faster than wanted the guest dirties. */
function stepUp(round: PolicyRound, excess: number, limits: ThrottleLimits): number {
  const { throttlePercent: percent, history } = round;
  const { initialPercent, incrementPercent, maxPercent, tailslow } = limits;
  if (percent === 0) return Math.min(initialPercent, maxPercent);
  const busyShare = busyShareOf(history);
  const wanted = throttleFor(guestSpeed(percent, busyShare) / excess, busyShare);
  const needed = Math.ceil(wanted) - percent;
  const step = tailslow ? Math.min(incrementPercent, Math.max(1, needed)) : incrementPercent;
  return Math.min(maxPercent, percent + step);
}

/** The newest passes, as far back as the throttle was what it is now. */
function passesAt(history: readonly PolicyPass[], percent: number): readonly PolicyPass[] {
  const other = history.findLastIndex(({ throttlePercent }) => throttlePercent !== percent);
  return history.slice(other + 1);
}

function hasSettled(passes: readonly PolicyPass[]): boolean {
  const ms = passes.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return ms >= LONG_PASS_MS || (ms >= SETTLED_MS && passes.length >= SETTLED_PASSES);
}

/**
 * What became dirty, of what could leave in the same time. Of the last two passes the better one:
 * one burst is no trend.
 */
function dirtiedShare(passes: readonly PolicyPass[], { linkBytesPerMs }: PolicyRound): number {
  const shares = passes.slice(-SETTLED_PASSES).map((pass) => {
    const { dirtiedPages, dirtyPages, wireBytes, encodeMs, durationMs } = pass;
    const busyMs = Math.max(encodeMs, linkBytesPerMs ? wireBytes / linkBytesPerMs : durationMs);
    // A pass is made to last a while also when there is little to send.
    const idleTimes = busyMs > 0 ? Math.max(1, durationMs / busyMs) : 1;
    return dirtiedPages / Math.max(1, dirtyPages * idleTimes);
  });
  return Math.min(...shares);
}
