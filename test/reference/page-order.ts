import type { PageBits } from './dirty-log.ts';

const MARK = 16;
const BUCKETS = 9;

/** The pages of a pass in the order of their weights: the twin of kernels/page-order.ts. */
export class ReferenceOrder {
  readonly weights: number[];
  readonly pending: boolean[];
  readonly written: boolean[];
  private byWeight = false;

  constructor(pageCount: number) {
    this.weights = new Array<number>(pageCount).fill(0);
    this.pending = new Array<boolean>(pageCount).fill(false);
    this.written = new Array<boolean>(pageCount).fill(false);
  }

  begin(dirty: readonly boolean[], byWeight: boolean): void {
    this.byWeight = byWeight;
    for (const [pfn, bit] of dirty.entries()) this.pending[pfn] = bit;
  }

  /** A sync saw these pages dirtied. */
  mark(marks: readonly boolean[]): void {
    for (const [pfn, marked] of marks.entries()) {
      if (!marked) continue;
      this.written[pfn] = true;
      this.weights[pfn] = Math.min(255, this.weights[pfn]! + MARK);
    }
  }

  halve(): void {
    for (const [pfn, weight] of this.weights.entries()) this.weights[pfn] = weight >> 1;
  }

  get pendingByBucket(): number[] {
    const counts = new Array<number>(BUCKETS).fill(0);
    for (const [pfn, bit] of this.pending.entries()) if (bit) counts[this.bucket(pfn)]! += 1;
    return counts;
  }

  get coldest(): number | undefined {
    const bucket = this.pendingByBucket.findIndex((pages) => pages > 0);
    return bucket < 0 ? undefined : bucket;
  }

  /** Up to `max` pages, the coldest bucket first, upwards from `from` and around. */
  take(
    bits: Pick<PageBits, 'dirty'>,
    from: number,
    max: number,
  ): { readonly pfns: readonly number[]; readonly next: number } {
    const pfns: number[] = [];
    let next = from;
    while (pfns.length < max) {
      const bucket = this.coldest;
      if (bucket === undefined) break;
      const pfn = this.nextIn(bucket, next);
      this.pending[pfn] = false;
      if (bits.dirty[pfn]) pfns.push(pfn);
      bits.dirty[pfn] = false;
      next = this.pendingByBucket[bucket] === 0 ? 0 : (pfn + 1) % this.weights.length;
    }
    return { pfns, next };
  }

  /** Bucket of a weight: its length in binary digits. */
  bucketOf(pfn: number): number {
    const weight = this.weights[pfn] ?? 0;
    return weight === 0 ? 0 : weight.toString(2).length;
  }

  private bucket(pfn: number): number {
    return this.byWeight ? this.bucketOf(pfn) : 0;
  }

  private nextIn(bucket: number, from: number): number {
    const matches = (pfn: number) => this.pending[pfn] === true && this.bucket(pfn) === bucket;
    const pfns = this.weights.map((_, pfn) => pfn).filter(matches);
    return pfns.find((pfn) => pfn >= from) ?? pfns[0]!;
  }
}
