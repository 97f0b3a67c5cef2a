import type { Trace } from '../../../guestmem/index.ts';

/** As `source/link-meter.ts` has them: a rate is of such a span, and the highest holds so long. */
const SPAN_MS = 20;
const KEEP_MS = 2000;
/** A span ends with a frame, which takes so long; on the average half of one is too much. */
const FRAME_MS = 2;
/** What `channel/rate-limiter.ts` lets a sender catch up that was woken late. */
const LATE_MS = 10;

/**
 * What the link meter tells of a limited link, as a multiple of the limit: it takes the highest
 * rate of late, and a sender that was woken late catches up. How late this host wakes is in the
 * trace, whose intervals were to be of one length: it is that of one of `parts` equal parts. What
 * all of them are late by is no catching up.
 */
export function meterExcess({ header, intervals }: Trace, part: number, parts: number): number {
  const lateMs = intervals.map(({ spanMs }) => spanMs - header.intervalMs);
  const usualMs = lateMs.toSorted((first, second) => first - second)[lateMs.length >> 1] ?? 0;
  const from = Math.floor((lateMs.length * part) / parts);
  const until = Math.floor((lateMs.length * (part + 1)) / parts);
  const seen = lateMs.slice(from, Math.min(until, from + Math.ceil(KEEP_MS / header.intervalMs)));
  const caughtUpMs = Math.min(LATE_MS, Math.max(0, ...seen.map((ms) => ms - usualMs)));
  return 1 + (FRAME_MS / 2 + caughtUpMs) / SPAN_MS;
}
