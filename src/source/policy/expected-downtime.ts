import type { PolicyRound } from './policy.ts';

/** What the expected downtime follows from. */
export type DowntimeTerms = Pick<
  PolicyRound,
  | 'remainingPages'
  | 'inFlightBytes'
  | 'wireBytesPerPage'
  | 'encodeMsPerPage'
  | 'linkBytesPerMs'
  | 'overheadMs'
>;

/**
 * Everything is in *effective* terms: what the remaining pages will take on the wire as they were
 * encoded lately, at the rate that the link really drained. QEMU compares raw dirty bytes with wire
 * bandwidth, which makes it switch late and throttle too much when deltas are sent (reference:
 * qemu, 3.12 traps 1 and 2). Undefined when pages remain and the link was never measured.
 */
export function expectedDowntimeMs(round: DowntimeTerms): number | undefined {
  const bytes = round.inFlightBytes + round.remainingPages * round.wireBytesPerPage;
  // 0 / undefined and 0 / 0 must not become NaN: nothing to send takes no time on any link.
  const wireMs = bytes === 0 ? 0 : bytes / (round.linkBytesPerMs ?? 0);
  if (!Number.isFinite(wireMs)) return undefined;
  return Math.max(wireMs, round.remainingPages * round.encodeMsPerPage) + round.overheadMs;
}

/** Time that one page takes as pages were encoded lately. Undefined while nothing was measured. */
export function pageMs(round: DowntimeTerms): number | undefined {
  const { wireBytesPerPage, encodeMsPerPage, linkBytesPerMs } = round;
  const wireMs = wireBytesPerPage === 0 ? 0 : wireBytesPerPage / (linkBytesPerMs ?? 0);
  return Number.isFinite(wireMs) ? Math.max(wireMs, encodeMsPerPage) : undefined;
}
