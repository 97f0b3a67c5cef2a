import { pageMs, switchDowntimeMs } from './expected-downtime.ts';
import { forecast, forecastTerms } from './forecast.ts';
import type { Policy, PolicyDecision, PolicyRound } from './policy.ts';
import { nextThrottle } from './throttle.ts';
import { leftBytes, standstillOf, workingSetPages } from './trend.ts';
import { byUserRules } from './user-rules.ts';

/** Within the limit, a pass that costs no more than this share of what was spent is for nothing. */
const CHEAP_SHARE = 0.01;
/** Pages that take less than this share of what the switch itself takes are not worth a pass. */
const SEEN_SHARE = 0.25;
/** Such a pass must promise to leave no more than this share, and the last one have kept that. */
const SHRINK_SHARE = 0.5;
const SHRUNK_SHARE = 0.75;
/**
 * A guest may become quiet by itself. So long it is given for that once it is at a standstill:
 * shares of the user's timeout, and of the time before, in which the passes still left less.
 */
const PATIENCE_SHARE = 0.1;
const PROGRESS_SHARE = 0.5;
/** From this share of the timeout on a standstill disproves whatever is forecast. */
const FORECAST_SHARE = 0.5;
/** One pass that leaves no less is chance. */
const STANDSTILL_PASSES = 2;
/** Rounds in which the best moment is looked for (CloudNet's smart stop, Wood et al. 2011). */
const STOP_WINDOW = 5;
/** What leaves no more than this share above the least is as good. */
const BEST_SHARE = 0.05;

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
  if (passMs <= SEEN_SHARE * overheadMs) return false;
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
 * The user allows a pause beyond the limit rather than none at all. At a standstill nothing is
 * gained by waiting for the end of the timeout: the first round of a window that leaves about as
 * little as any of it is as good as it gets, and at its end any is. In the first half of the
 * timeout the passes alone do not tell that it is one: with the rate and the working set that they
 * show, no later pass may fit.
 */
function atTheBestMoment(round: PolicyRound): PolicyDecision | undefined {
  const { limits, history } = round;
  if (!limits.allows.suspend || limits.timeoutMs === 0) return undefined;
  // Slowing the guest may still help, and the user has asked for that.
  const canThrottle =
    limits.autoConverge !== undefined && round.throttlePercent < limits.autoConverge.maxPercent;
  if (canThrottle) return undefined;
  const { passes, ms, progressMs } = standstillOf(history);
  const patienceMs = Math.max(PATIENCE_SHARE * limits.timeoutMs, PROGRESS_SHARE * progressMs);
  if (passes < STANDSTILL_PASSES || ms < patienceMs) return undefined;
  if (round.elapsedMs < FORECAST_SHARE * limits.timeoutMs && mayConverge(round)) return undefined;
  const window = history.slice(-STOP_WINDOW).map(leftBytes);
  const isBest = (window.at(-1) ?? 0) <= Math.min(...window) * (1 + BEST_SHARE);
  if (!isBest && passes < STOP_WINDOW + STANDSTILL_PASSES) return undefined;
  const because = 'no less will be left than now';
  return { action: 'stop-and-copy', reason: 'plateau', because };
}

function mayConverge(round: PolicyRound): boolean {
  const terms = forecastTerms(round);
  return terms === undefined || forecast(terms) !== undefined;
}
