import { type Trace, tracePages } from '../../../guestmem/index.ts';
import { PageBits } from './page-bits.ts';

/**
 * The guest of a trace, as a plan runs it: it dirties what it dirtied when it was recorded, from
 * any point of the trace on, over and over.
 */
export class TraceGuest {
  readonly pageCount: number;
  /** Pages that hold something from the beginning. */
  readonly populated: PageBits;
  readonly spanMs: number;
  /** Of its time, what the busiest vCPU runs guest code for; above 0, up to 1. */
  readonly busyShare: number;
  private readonly trace: Trace;
  private readonly sets: readonly PageBits[];
  /** When each interval begins. */
  private readonly startsMs: readonly number[];
  /**
   * How the number of different pages grows with time, as a power of it: 1 for a sweep, 0 for a
   * guest that writes all its pages in each interval anew.
   */
  private readonly exponent: number;

  constructor(trace: Trace) {
    this.trace = trace;
    this.pageCount = tracePages(trace.header);
    this.populated = PageBits.ofBitmap(trace.populated);
    this.sets = trace.intervals.map(({ pages }) => {
      const set = new PageBits(this.pageCount);
      for (const pfn of pages) set.add(pfn);
      return set;
    });
    const startsMs: number[] = [];
    let atMs = 0;
    for (const { spanMs } of trace.intervals) {
      startsMs.push(atMs);
      atMs += spanMs;
    }
    this.startsMs = startsMs;
    this.spanMs = atMs;
    const ranMs = trace.intervals.reduce(
      (sum, { spanMs, busyShare }) => sum + spanMs * busyShare,
      0,
    );
    this.busyShare = atMs > 0 && ranMs > 0 ? ranMs / atMs : 1;
    this.exponent = growthExponent(trace, this.pageCount);
  }

  /** Adds what is dirtied from `fromMs` to `toMs` of the guest's own time. */
  dirty(fromMs: number, toMs: number, into: PageBits): void {
    if (this.spanMs <= 0 || toMs <= fromMs) return;
    // A whole turn of the trace dirties all that it ever dirties.
    if (toMs - fromMs >= this.spanMs) {
      for (const set of this.sets) into.addAll(set);
      return;
    }
    let atMs = fromMs % this.spanMs;
    let leftMs = toMs - fromMs;
    let index = this.intervalAt(atMs);
    while (leftMs > 1e-9) {
      const startMs = this.startsMs[index] as number;
      const { spanMs } = this.trace.intervals[index] as { readonly spanMs: number };
      const stepMs = Math.min(leftMs, startMs + spanMs - atMs);
      if (spanMs > 0) this.dirtyPart(index, (atMs - startMs) / spanMs, stepMs / spanMs, into);
      leftMs -= stepMs;
      index = (index + 1) % this.sets.length;
      atMs = this.startsMs[index] as number;
    }
  }

  private intervalAt(atMs: number): number {
    let [from, to] = [0, this.startsMs.length - 1];
    while (from < to) {
      const middle = (from + to + 1) >>> 1;
      if ((this.startsMs[middle] as number) <= atMs) from = middle;
      else to = middle - 1;
    }
    return from;
  }

  private dirtyPart(index: number, from: number, share: number, into: PageBits): void {
    if (share >= 1 - 1e-9) {
      into.addAll(this.sets[index] as PageBits);
      return;
    }
    const { pages } = this.trace.intervals[index] as { readonly pages: Uint32Array };
    const count = Math.round(pages.length * share ** this.exponent);
    const first = Math.floor(pages.length * from);
    for (let at = 0; at < count; at += 1) into.add(pages[(first + at) % pages.length] as number);
  }
}

/** From pairs of neighbouring intervals: log2(pages of both / mean pages of one). */
function growthExponent({ intervals }: Trace, pageCount: number): number {
  let [single, double] = [0, 0];
  const union = new PageBits(pageCount);
  for (let at = 0; at + 1 < intervals.length; at += 2) {
    union.clear();
    for (const { pages } of intervals.slice(at, at + 2)) {
      single += pages.length / 2;
      for (const pfn of pages) union.add(pfn);
    }
    double += union.count;
  }
  return single === 0 ? 1 : Math.min(1, Math.max(0, Math.log2(double / single)));
}
