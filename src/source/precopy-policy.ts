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
  readonly elapsedMs: number;
}

export interface PrecopyLimits {
  readonly downtimeLimitMs: number;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly timeoutAction: 'cancel' | 'suspend';
}

export type PrecopyDecision =
  | { readonly action: 'stop-and-copy'; readonly reason: 'converged' | 'timeout' }
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
    return limits.timeoutAction === 'suspend'
      ? { action: 'stop-and-copy', reason: 'timeout' }
      : { action: 'give-up', reason: 'timeout' };
  }
  return { action: 'iterate' };
}
