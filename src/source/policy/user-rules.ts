import { PAGE_BYTES } from '../../base/index.ts';
import { pageMs } from './expected-downtime.ts';
import type { PolicyDecision, PolicyRound } from './policy.ts';
import { dirtiedIn, workingSetPages, writesPerMs } from './trend.ts';

/** Table entry and page: in post-copy no page goes as a delta. */
const WHOLE_BYTES = 16 + PAGE_BYTES;
/** A pass that is no longer than this would only disturb the guest. */
const PASS_MS_MIN = 5;

/**
 * What the user has decided already, whichever policy was chosen; undefined while it says nothing.
 * A policy asks after its own reasons to stop.
 */
export function byUserRules(round: PolicyRound): PolicyDecision | undefined {
  return byTimeout(round) ?? byHybridRules(round);
}

/** `x-timeout` and its action. Post-copy begins before it, so that it ends by it. */
export function byTimeout(round: PolicyRound): PolicyDecision | undefined {
  const { elapsedMs, limits } = round;
  const { timeoutMs, timeoutAction } = limits;
  if (mustBeginPostcopy(round)) return { action: 'postcopy', reason: 'timeout' };
  if (timeoutMs === 0 || elapsedMs < timeoutMs) return undefined;
  if (timeoutAction === 'suspend') return { action: 'stop-and-copy', reason: 'timeout' };
  return { action: 'give-up', reason: 'timeout' };
}

/** The rules of mode `hybrid`. */
function byHybridRules(round: PolicyRound): PolicyDecision | undefined {
  const rules = round.limits.hybrid;
  if (rules === undefined) return undefined;
  if (rules.afterPasses > 0 && round.pass >= rules.afterPasses) {
    return { action: 'postcopy', reason: 'passes' };
  }
  const { lastRemainingPages, remainingPages } = round;
  if (rules.plateau && lastRemainingPages !== undefined && remainingPages >= lastRemainingPages) {
    return { action: 'postcopy', reason: 'plateau' };
  }
  return undefined;
}

/**
 * Milliseconds until post-copy must begin, so that what is missing then has arrived at the timeout;
 * undefined where no timeout ends in post-copy. Where it begins within the next pass, what is not
 * sent by then and what was dirtied meanwhile are missing: no more than remain now, or than the
 * guest would write in the whole pass.
 */
export function postcopyInMs(round: PolicyRound): number | undefined {
  const { limits, elapsedMs, remainingPages, inFlightBytes, overheadMs } = round;
  if (limits.timeoutMs === 0 || limits.timeoutAction !== 'postcopy') return undefined;
  const leftMs = limits.timeoutMs - elapsedMs;
  const limit = limits.maxPostcopyBandwidthBytesPerSecond / 1000;
  const rates = [round.linkBytesPerMs ?? 0, limit].filter((rate) => rate > 0);
  if (rates.length === 0) return leftMs;
  const missingPages = Math.max(remainingPages, dirtiedInNextPass(round));
  const missingMs = (missingPages * WHOLE_BYTES + inFlightBytes) / Math.min(...rates);
  return leftMs - missingMs - overheadMs;
}

function dirtiedInNextPass(round: PolicyRound): number {
  const { history, remainingPages, throttlePercent } = round;
  const passMs = remainingPages * (pageMs(round) ?? 0);
  return dirtiedIn(passMs, workingSetPages(history), writesPerMs(history, throttlePercent));
}

/** Whether what is left arrives at the timeout only if post-copy begins now. */
function mustBeginPostcopy(round: PolicyRound): boolean {
  return (postcopyInMs(round) ?? Number.POSITIVE_INFINITY) <= PASS_MS_MIN;
}

/** The next pass lasts no longer than until post-copy must begin; then it is decided anew. */
export function withinDeadline(round: PolicyRound, decision: PolicyDecision): PolicyDecision {
  const maxMs = postcopyInMs(round);
  if (decision.action !== 'iterate' || maxMs === undefined) return decision;
  const { passMsMax = Number.POSITIVE_INFINITY } = decision;
  return { ...decision, passMsMax: Math.min(passMsMax, Math.max(PASS_MS_MIN, maxMs)) };
}
