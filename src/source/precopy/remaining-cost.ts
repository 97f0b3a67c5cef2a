import { PAGE_BYTES } from '../../base/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import { FRAME_HEADER_BYTES, PAGE_ENTRY_BYTES } from '../../protocol/index.ts';
import { handledPages, type PageTotals } from '../counters.ts';

/** Dirty pages of a block that are looked up: enough to tell a share to a percent. */
const LOOKED_MAX = 8192;

/**
 * What a page that remains will take on the wire. Not the mean of the pass that ended: a pass finds
 * many pages unchanged, which were written just before their turn in the one before it, and those
 * that the guest writes from now on are not; and the pages that it has turned to lately were never
 * sent, so that no cache has them. Both made a pause several times as long as was expected.
 */
export class RemainingCost {
  /** Of pages that go as deltas, and of those that go as they are; as they went lately. */
  private deltaBytes: number | undefined;
  private wholeBytes = PAGE_ENTRY_BYTES + PAGE_BYTES;

  /** `totals` of the pass that ended; `encodes`: a page that is cached will go as a delta. */
  bytesPerPage(
    totals: PageTotals,
    isFirst: boolean,
    blocks: readonly RamBlock[],
    encodes: boolean,
  ): number {
    const sentPages = handledPages(totals) - totals.unchangedPages;
    if (sentPages > 0) this.learn(totals, isFirst);
    const headers = sentPages > 0 ? (totals.frames * FRAME_HEADER_BYTES) / sentPages : 0;
    if (!encodes || this.deltaBytes === undefined) return this.wholeBytes + headers;
    const share = cachedShare(blocks);
    return share * this.deltaBytes + (1 - share) * this.wholeBytes + headers;
  }

  private learn(totals: PageTotals, isFirst: boolean): void {
    const { rawPages, lz4Pages, lz4Bytes, xbzrlePages, lz4XbzrlePages } = totals;
    // Pages that were all zeros before the guest wrote them tell nothing of those that it writes.
    const zeroPages = isFirst ? 0 : totals.zeroPages;
    const misses = rawPages + lz4Pages + zeroPages;
    if (misses > 0) {
      this.wholeBytes = PAGE_ENTRY_BYTES + (rawPages * PAGE_BYTES + lz4Bytes) / misses;
    }
    // A delta that would be no smaller goes as the page itself.
    const hits = xbzrlePages + lz4XbzrlePages + totals.overflowPages;
    const bytes = totals.xbzrleBytes + totals.lz4XbzrleBytes + totals.overflowPages * PAGE_BYTES;
    if (hits > 0) this.deltaBytes = PAGE_ENTRY_BYTES + bytes / hits;
  }
}

/** Of the dirty pages, 0 to 1. */
function cachedShare(blocks: readonly RamBlock[]): number {
  let [dirty, cached] = [0, 0];
  for (const { cache } of blocks) {
    const sample = cache.sampleDirty(LOOKED_MAX);
    dirty += sample.dirtyPages;
    if (sample.looked > 0) cached += (sample.dirtyPages * sample.cached) / sample.looked;
  }
  return dirty === 0 ? 0 : cached / dirty;
}
