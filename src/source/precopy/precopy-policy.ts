import type { TimeoutAction } from '../../base/index.ts';

/**
 * What follows a bitmap sync. Pure: no clock, no I/O, so that a table can test it and a trace can
 * replay it.
 *
 * Everything is in *effective* terms: what the remaining pages will take on the wire as they were
 * encoded lately, at the rate that the link really drained. QEMU compares raw dirty bytes with wire
 * bandwidth, which makes it switch late and throttle too much when deltas are sent (reference:
 * qemu, 3.12 traps 1 and 2).
 */
export interface PrecopyRound {
  readonly pass: number;
  /** Dirty after the sync. */
  readonly remainingPages: number;
  /** Unacknowledged bytes that the last pages will queue behind. */
  readonly inFlightBytes: number;
  /** Mean of the last pass, by the kinds that it used; table entries included. */
  readonly wireBytesPerPage: number;
  /** Mean time that the encoder took for a page of the last pass. */
  readonly encodeMsPerPage: number;
  /** Undefined while nothing was measured. */
  readonly linkBytesPerMs: number | undefined;
  /** Pause, machine state, round trips and records: what a switch costs without pages. */
  readonly overheadMs: number;
  /** Dirty after the sync before this one; undefined in the first round. */
  readonly lastRemainingPages: number | undefined;
  readonly elapsedMs: number;
}

export interface PrecopyLimits {
  readonly downtimeLimitMs: number;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
  /** Post-copy may follow by these rules; undefined: only on command. */
  readonly hybrid: HybridRules | undefined;
}

/** When pre-copy gives way to post-copy by itself. */
export interface HybridRules {
  /** After so many passes; 0: no such rule. */
  readonly afterPasses: number;
  /** When a pass leaves no less to send than the one before. */
  readonly plateau: boolean;
}

export type PrecopyDecision =
  | { readonly action: 'stop-and-copy'; readonly reason: 'converged' | 'timeout' }
  | { readonly action: 'postcopy'; readonly reason: 'passes' | 'plateau' | 'timeout' }
  | { readonly action: 'iterate' }
  | { readonly action: 'give-up'; readonly reason: 'timeout' };

/** Undefined when pages remain and the link was never measured. */
export function expectedDowntimeMs(round: PrecopyRound): number | undefined {
  const bytes = round.inFlightBytes + round.remainingPages * round.wireBytesPerPage;
  // 0 / undefined and 0 / 0 must not become NaN: nothing to send takes no time on any link.
  const wireMs = bytes === 0 ? 0 : bytes / (round.linkBytesPerMs ?? 0);
  if (!Number.isFinite(wireMs)) return undefined;
  return Math.max(wireMs, round.remainingPages * round.encodeMsPerPage) + round.overheadMs;
}

export function decidePrecopy(round: PrecopyRound, limits: PrecopyLimits): PrecopyDecision {
  const expectedMs = expectedDowntimeMs(round);
  // An empty bitmap is as good as it gets, whatever the limit says.
  if (
    round.remainingPages === 0 ||
    (expectedMs !== undefined && expectedMs <= limits.downtimeLimitMs)
  ) {
    return { action: 'stop-and-copy', reason: 'converged' };
  }
  if (limits.timeoutMs > 0 && round.elapsedMs >= limits.timeoutMs) {
    return afterTimeout(limits.timeoutAction);
  }
  return decideHybrid(round, limits.hybrid);
}

function afterTimeout(action: TimeoutAction): PrecopyDecision {
  if (action === 'suspend') return { action: 'stop-and-copy', reason: 'timeout' };
  if (action === 'postcopy') return { action: 'postcopy', reason: 'timeout' };
  return { action: 'give-up', reason: 'timeout' };
}

function decideHybrid(round: PrecopyRound, rules: HybridRules | undefined): PrecopyDecision {
  if (rules === undefined) return { action: 'iterate' };
  if (rules.afterPasses > 0 && round.pass >= rules.afterPasses) {
    return { action: 'postcopy', reason: 'passes' };
  }
  const { lastRemainingPages, remainingPages } = round;
  if (rules.plateau && lastRemainingPages !== undefined && remainingPages >= lastRemainingPages) {
    return { action: 'postcopy', reason: 'plateau' };
  }
  return { action: 'iterate' };
}
