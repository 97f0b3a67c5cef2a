import { PAGE_BYTES } from '../../../base/index.ts';
import type { ChangeSample, Trace } from '../../../guestmem/index.ts';

/** An entry of a page table (docs/protocol.md, PAGE_BATCH). */
export const ENTRY_BYTES = 16;
export const RAW_BYTES = ENTRY_BYTES + PAGE_BYTES;
/** Shorter deltas are not tried: `source/codec/codec.ts`. */
const DELTA_TRIED_BYTES_MIN = 64;

/**
 * What pages of a recorded guest take on the wire: of those that lay there, and of those that were
 * sent before and have changed since. `lz4`: what gets shorter by it goes as LZ4.
 */
export class PageCosts {
  private readonly zeroShare: number;
  private readonly contentLz4Bytes: number;
  private readonly changes: readonly ChangeSample[];
  private readonly lagCosts = new Map<string, number>();

  constructor({ contents, intervals }: Trace) {
    const zero = contents.filter(({ lz4Bytes }) => lz4Bytes === 0).length;
    this.zeroShare = contents.length === 0 ? 0 : zero / contents.length;
    this.contentLz4Bytes = mean(
      contents.filter(({ lz4Bytes }) => lz4Bytes > 0).map(({ lz4Bytes }) => lz4Bytes),
      PAGE_BYTES,
    );
    this.changes = intervals.flatMap(({ changes }) => changes);
  }

  /** Of a page that was populated when the trace began. */
  contentBytes(lz4: boolean): number {
    return this.zeroShare * ENTRY_BYTES + (1 - this.zeroShare) * this.filledBytes(lz4);
  }

  /** Of such a page that does not hold zeros. */
  filledBytes(lz4: boolean): number {
    return lz4 ? ENTRY_BYTES + this.contentLz4Bytes : RAW_BYTES;
  }

  /** Of a dirty page that is sent whole. */
  dirtyBytes(lz4: boolean): number {
    if (!lz4) return RAW_BYTES;
    const sizes = this.changes.map(({ lz4Bytes }) => ENTRY_BYTES + lz4Bytes);
    return mean(sizes, ENTRY_BYTES + this.contentLz4Bytes);
  }

  /** Of a dirty page that the cache holds as it was `lag` intervals ago. */
  deltaBytes(lag: number, lz4: boolean): number {
    const bucket = lagBucket(lag);
    const key = `${bucket} ${lz4}`;
    const known = this.lagCosts.get(key);
    if (known !== undefined) return known;
    const sizes = this.nearest(bucket).map((change) => deltaOf(change, lz4));
    const cost = mean(sizes, RAW_BYTES);
    this.lagCosts.set(key, cost);
    return cost;
  }

  /** Share of a page that changes from one look to the next, 0 to 1; undefined without a sample. */
  get changedShare(): number | undefined {
    if (this.changes.length === 0) return undefined;
    return mean(
      this.changes.map(({ changedBytes }) => changedBytes / PAGE_BYTES),
      1,
    );
  }

  get zeroPagesShare(): number {
    return this.zeroShare;
  }

  /** How small LZ4 makes what lies in RAM and is not zero, 0 to 1. */
  get lz4Share(): number {
    return this.contentLz4Bytes / PAGE_BYTES;
  }

  private nearest(bucket: number): readonly ChangeSample[] {
    const distance = ({ lag }: ChangeSample) => Math.abs(lagBucket(lag) - bucket);
    const least = Math.min(...new Set(this.changes.map(distance)));
    return this.changes.filter((change) => distance(change) === least);
  }
}

function deltaOf({ xbzrleBytes, lz4Bytes, deltaLz4Bytes }: ChangeSample, lz4: boolean): number {
  // A page that is found unchanged is not sent at all.
  if (xbzrleBytes === 0) return 0;
  if (!lz4) return ENTRY_BYTES + xbzrleBytes;
  // A delta that is no shorter than the page gives way to the page.
  if (xbzrleBytes >= PAGE_BYTES) return ENTRY_BYTES + lz4Bytes;
  return ENTRY_BYTES + (xbzrleBytes < DELTA_TRIED_BYTES_MIN ? xbzrleBytes : deltaLz4Bytes);
}

function lagBucket(lag: number): number {
  return Math.floor(Math.log2(Math.max(1, lag)));
}

function mean(values: readonly number[], otherwise: number): number {
  if (values.length === 0) return otherwise;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
