import { pageMs, switchDowntimeMs } from './expected-downtime.ts';
import type { Policy, PolicyDecision, PolicyRound } from './policy.ts';
import { nextThrottle } from './throttle.ts';
import { leftBytes, trendOf, workingSetPages } from './trend.ts';
import { byUserRules } from './user-rules.ts';

/** Within the limit, a pass that costs no more than this share of what was spent is for nothing. */
const CHEAP_SHARE = 0.01;
/** Such a pass must promise to leave no more than this share, and the last one have kept that. */
const SHRINK_SHARE = 0.5;
const SHRUNK_SHARE = 0.75;
/**
 * On a plateau the best moment is waited for from this share of the user's timeout on: until then
 * the guest may become quiet by itself.
 */
const PATIENCE_SHARE = 0.5;
/** Rounds in which the best moment is looked for (CloudNet's smart stop, Wood et al. 2011). */
const STOP_WINDOW = 5;

/**
 * The default. In effective terms throughout: it switches when what remains fits into the limit,
 * and a little later when that costs next to nothing. While it does not fit it does what the user
 * allows: slows the guest, hands it over by the rules of `hybrid`, and where the timeout would
 * suspend the guest anyway, pauses it at a good moment instead of at that one.
 */
export const autoPolicy: Policy = {
  name: 'auto',

  decide(round) {
    if (round.remainingPages === 0) return { action: 'stop-and-copy', reason: 'converged' };
    const expectedMs = switchDowntimeMs(round);
    if (expectedMs !== undefined && expectedMs <= round.limits.downtimeLimitMs) {
      return anotherPassPays(round, expectedMs)
        ? { action: 'iterate', because: 'another pass costs little and shortens the downtime' }
        : { action: 'stop-and-copy', reason: 'converged' };
    }
    return byUserRules(round) ?? atTheBestMoment(round) ?? goOn(round);
  },
};

function goOn(round: PolicyRound): PolicyDecision {
  const { autoConverge } = round.limits;
  if (autoConverge === undefined) return { action: 'iterate' };
  const throttlePercent = nextThrottle(round, autoConverge);
  if (throttlePercent === round.throttlePercent) return { action: 'iterate' };
  const isUp = throttlePercent > round.throttlePercent;
  const because = isUp ? 'the guest dirties too fast' : 'the guest can be faster';
  return { action: 'iterate', throttlePercent, because };
}

/** Whether the downtime can be made much shorter for next to nothing. */
function anotherPassPays(round: PolicyRound, expectedMs: number): boolean {
  const { elapsedMs, sentBytes, remainingPages, lastRemainingPages, overheadMs, limits } = round;
  const passMs = expectedMs - overheadMs;
  // What the switch itself takes does not become shorter.
  if (passMs <= overheadMs) return false;
  if (limits.timeoutMs > 0 && elapsedMs + passMs >= limits.timeoutMs) return false;
  const bytes = remainingPages * round.wireBytesPerPage + round.inFlightBytes;
  if (passMs > CHEAP_SHARE * elapsedMs || bytes > CHEAP_SHARE * sentBytes) return false;
  // Also what makes an end of it, should the promise not be kept.
  if (remainingPages > SHRUNK_SHARE * (lastRemainingPages ?? round.ramPages)) return false;
  const last = round.history.at(-1);
  if (last === undefined || last.durationMs <= 0) return false;
  const dirtied = Math.min(
    (last.dirtiedPages / last.durationMs) * remainingPages * (pageMs(round) ?? 0),
    workingSetPages(round.history),
  );
  return dirtied <= SHRINK_SHARE * remainingPages;
}

/**
 * The user allows a pause beyond the limit once the timeout is over. On a plateau nothing is gained
 * by waiting for that: the first round of a window that leaves no more than any of it before is as
 * good as it gets, and at its end any is.
 */
function atTheBestMoment(round: PolicyRound): PolicyDecision | undefined {
  const { limits, elapsedMs, history } = round;
  const fromMs = PATIENCE_SHARE * limits.timeoutMs;
  if (!limits.allows.suspend || limits.timeoutMs === 0 || elapsedMs < fromMs) return undefined;
  // Slowing the guest may still help, and the user has asked for that.
  const canThrottle =
    limits.autoConverge !== undefined && round.throttlePercent < limits.autoConverge.maxPercent;
  const trend = trendOf(history);
  if (canThrottle || trend === 'unknown' || trend === 'falling') return undefined;
  const window = history.slice(-STOP_WINDOW).map(leftBytes);
  const isBest = (window.at(-1) ?? 0) <= Math.min(...window);
  const isExhausted = roundsSince(round, fromMs) >= STOP_WINDOW;
  if (!isBest && !isExhausted) return undefined;
  const because = 'no less will be left than now';
  return { action: 'stop-and-copy', reason: 'plateau', because };
}

/** Passes that ended since `fromMs` of pre-copy. */
function roundsSince({ history, elapsedMs }: PolicyRound, fromMs: number): number {
  let endMs = elapsedMs;
  let rounds = 0;
  for (const { durationMs } of [...history].reverse()) {
    if (endMs < fromMs) break;
    rounds += 1;
    endMs -= durationMs;
  }
  return rounds;
}
