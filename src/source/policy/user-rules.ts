import type { PolicyDecision, PolicyRound } from './policy.ts';

/**
 * What the user has decided already, whichever policy was chosen; undefined while it says nothing.
 * A policy asks after its own reasons to stop.
 */
export function byUserRules(round: PolicyRound): PolicyDecision | undefined {
  return byTimeout(round) ?? byHybridRules(round);
}

/** `x-timeout` and its action. */
export function byTimeout({ elapsedMs, limits }: PolicyRound): PolicyDecision | undefined {
  const { timeoutMs, timeoutAction } = limits;
  if (timeoutMs === 0 || elapsedMs < timeoutMs) return undefined;
  if (timeoutAction === 'suspend') return { action: 'stop-and-copy', reason: 'timeout' };
  if (timeoutAction === 'postcopy') return { action: 'postcopy', reason: 'timeout' };
  return { action: 'give-up', reason: 'timeout' };
}

/** The rules of mode `hybrid`. */
export function byHybridRules(round: PolicyRound): PolicyDecision | undefined {
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
