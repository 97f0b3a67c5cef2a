/** Moments that are kept of one probe: how fine the span that is measured can be cut. */
const MOMENTS_MAX = 512;

interface Moment {
  readonly atMs: number;
  readonly bytes: number;
}

/**
 * When the bytes of a probe came. The later half of the time is what is measured: the earlier one
 * has the slow start of TCP, and what buffers and token buckets on the way let through at once.
 */
export class ArrivalRecord {
  private readonly spacingMs: number;
  private readonly moments: Moment[] = [];
  private last: Moment | undefined;

  /** `limitMs`: it is over after that. */
  constructor(limitMs: number) {
    this.spacingMs = limitMs / (MOMENTS_MAX - 2);
  }

  /** `bytes`: all that have come so far. */
  add(bytes: number, nowMs: number): void {
    this.last = { atMs: nowMs, bytes };
    const before = this.moments.at(-1);
    if (before === undefined || nowMs - before.atMs >= this.spacingMs) this.moments.push(this.last);
  }

  get receivedBytes(): number {
    return this.last?.bytes ?? 0;
  }

  /** `spanMs` is 0 when too little came to measure anything. */
  measured(): { readonly spanBytes: number; readonly spanMs: number } {
    const { moments, last } = this;
    const [first] = moments;
    if (first === undefined || last === undefined) return { spanBytes: 0, spanMs: 0 };
    const middleMs = (first.atMs + last.atMs) / 2;
    // The last moment at which what had come by then was counted, or the first one of all.
    const begin = moments.findLast(({ atMs }) => atMs <= middleMs) ?? first;
    return { spanBytes: last.bytes - begin.bytes, spanMs: last.atMs - begin.atMs };
  }
}
