import type { PolicyRound } from './policy.ts';
import { dirtiedIn, workingSetPages, writesPerMs } from './trend.ts';

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

/** Less than this is not worth a round trip. */
const DRAIN_BYTES_MIN = 64 * 2 ** 10;

/** What also tells how fast the guest writes. */
export type DrainTerms = DowntimeTerms & Pick<PolicyRound, 'history' | 'throttlePercent'>;

/**
 * What a switch will take: the engine lets what is under way drain first where that makes it
 * shorter, and asks again then. Undefined as in {@link expectedDowntimeMs}.
 */
export function switchDowntimeMs(round: DrainTerms): number | undefined {
  const nowMs = expectedDowntimeMs(round);
  const drainedMs = drainedDowntimeMs(round);
  return nowMs === undefined || drainedMs === undefined ? nowMs : Math.min(nowMs, drainedMs);
}

/**
 * Whether to let what is under way drain before the guest is paused: it would be downtime, and
 * until it has gone the guest dirties no more of its working set than that is worth.
 */
export function drainingPays(round: DrainTerms): boolean {
  const nowMs = expectedDowntimeMs(round);
  const drainedMs = drainedDowntimeMs(round);
  return nowMs !== undefined && drainedMs !== undefined && drainedMs < nowMs;
}

/** Undefined where too little is under way, or nothing is known of link or guest. */
function drainedDowntimeMs(round: DrainTerms): number | undefined {
  const { inFlightBytes, linkBytesPerMs, remainingPages, history, throttlePercent } = round;
  if (inFlightBytes <= DRAIN_BYTES_MIN || !linkBytesPerMs || history.length === 0) return undefined;
  const workingSet = workingSetPages(history);
  const drainMs = inFlightBytes / linkBytesPerMs;
  const written = dirtiedIn(drainMs, workingSet, writesPerMs(history, throttlePercent));
  // Of the pages that it writes some are dirty already.
  const cleanShare = workingSet === 0 ? 0 : Math.max(0, 1 - remainingPages / workingSet);
  const pages = remainingPages + written * cleanShare;
  return expectedDowntimeMs({ ...round, remainingPages: pages, inFlightBytes: 0 });
}
