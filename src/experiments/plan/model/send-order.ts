import type { PageBits } from './page-bits.ts';

/** The rules of `src/guestmem/kernels/page-order.ts`. */
const MARK = 16;
const WEIGHT_MAX = 255;
const BUCKETS = 9;
/** As `source/precopy/page-order.ts` has them. */
const SYNCS_PER_HALVING = 8;

interface Bucket {
  readonly pfns: number[];
  next: number;
}

/**
 * In which order a pass sends its pages: ascending, or the coldest first. A page that is dirtied
 * before its turn becomes hotter, and goes later.
 */
export class SendOrder {
  private readonly weights: Uint8Array;
  private readonly pending: PageBits;
  private buckets: Bucket[] = [];
  /** Colder ones are empty: within a pass pages become hotter, until all are sorted anew. */
  private coldest = 0;
  private byWeight = false;
  private syncsUntilHalving = SYNCS_PER_HALVING;

  /** `pending` is an empty set of the guest's pages, to be used by this alone. */
  constructor(pageCount: number, pending: PageBits) {
    this.weights = new Uint8Array(pageCount);
    this.pending = pending;
  }

  /** These are to be sent, each once. */
  begin(dirty: PageBits, byWeight: boolean): void {
    this.byWeight = byWeight;
    this.coldest = 0;
    this.pending.clear();
    this.pending.addAll(dirty);
    this.buckets = Array.from({ length: BUCKETS }, () => ({ pfns: [], next: 0 }));
    dirty.forEach((pfn) => void this.enlist(pfn));
  }

  /** The next page; undefined: all have gone. */
  take(): number | undefined {
    const { pending, buckets } = this;
    for (; this.coldest < BUCKETS; this.coldest += 1) {
      const bucket = buckets[this.coldest] as Bucket;
      while (bucket.next < bucket.pfns.length) {
        const pfn = bucket.pfns[bucket.next] as number;
        bucket.next += 1;
        // It may have gone, or be in a hotter bucket by now.
        if (!pending.has(pfn) || this.bucketOf(pfn) !== this.coldest) continue;
        pending.remove(pfn);
        return pfn;
      }
    }
    return undefined;
  }

  /** A sync has found these dirtied. */
  sync(dirtied: PageBits): void {
    dirtied.forEach((pfn) => {
      const before = this.bucketOf(pfn);
      this.weights[pfn] = Math.min(WEIGHT_MAX, (this.weights[pfn] as number) + MARK);
      if (this.pending.has(pfn) && this.bucketOf(pfn) !== before) this.enlist(pfn);
    });
    this.syncsUntilHalving -= 1;
    if (this.syncsUntilHalving > 0) return;
    this.syncsUntilHalving = SYNCS_PER_HALVING;
    for (let pfn = 0; pfn < this.weights.length; pfn += 1) {
      this.weights[pfn] = (this.weights[pfn] as number) >>> 1;
    }
    // What is still to go is in a colder bucket now.
    if (this.byWeight) this.begin(this.pending.copy(), true);
  }

  private enlist(pfn: number): void {
    this.buckets[this.bucketOf(pfn)]?.pfns.push(pfn);
  }

  /** The length of its weight in binary digits. */
  private bucketOf(pfn: number): number {
    return this.byWeight ? 32 - Math.clz32(this.weights[pfn] as number) : 0;
  }
}
