import { PAGE_BYTES } from '../../base/index.ts';
import { laneAddress } from './block-layout.ts';
import type { RamBlock } from './ram-block.ts';

/** The codec's lane of the migration's thread, and where it has its hash table. */
const LANE = 0;
const LANE_HASH_TABLE = 0x400;

/** Sums over pages that were dirty, and are dirty again. */
export interface ChangedPages {
  readonly pages: number;
  /** As XBZRLE; of one whose delta would be no smaller, the page. */
  readonly deltaBytes: number;
  /** As LZ4, in the same way. */
  readonly lz4Bytes: number;
  /** What the LZ4 took, milliseconds. */
  readonly lz4Ms: number;
}

/**
 * Tells what encoders would make of the dirty pages of a block, from copies of a few of them: for a
 * migration that goes without. Nothing of it is sent, and the guest runs, so it is an estimate.
 *
 * It works in the small slots of the block, which nobody uses before post-copy, and in the codec's
 * lane of this thread.
 */
export class ChangeProbe {
  private readonly block: RamBlock;
  private readonly copies = new Map<number, Uint8Array>();

  constructor(block: RamBlock) {
    this.block = block;
  }

  /** Copies up to `max` of the dirty pages, from all over the block; returns how many. */
  copy(max: number): number {
    const { block, copies } = this;
    copies.clear();
    const dirtyPages = block.countDirty();
    const stride = Math.max(1, Math.ceil(dirtyPages / Math.max(1, max)));
    const bitmap = block.dirtyPages();
    let seen = 0;
    for (let at = 0; at < bitmap.length && copies.size < max; at += 1) {
      for (let bits = bitmap[at] ?? 0; bits !== 0; bits &= bits - 1) {
        if (seen % stride === 0) this.keep(at * 8 + 31 - Math.clz32(bits & -bits));
        seen += 1;
      }
    }
    return copies.size;
  }

  /** Compares the copies of pages that are dirty now. `nowMs` is a clock. */
  compare(nowMs: () => number): ChangedPages {
    const { block, copies } = this;
    const first = block.urgentSlotAddress(0);
    const [before, now, made] = [first, first + PAGE_BYTES, first + 2 * PAGE_BYTES];
    const sums = { pages: 0, deltaBytes: 0, lz4Bytes: 0, lz4Ms: 0 };
    for (const [pfn, copy] of copies) {
      if (!block.isDirty(pfn)) continue;
      block.bytes.set(copy, before);
      block.bytes.set(this.page(pfn), now);
      const delta = block.kernels.xbzrleEncode(before, now, made, PAGE_BYTES);
      const startMs = nowMs();
      const table = laneAddress(LANE) + LANE_HASH_TABLE;
      const packed = block.kernels.lz4Encode(now, PAGE_BYTES, made, PAGE_BYTES, table);
      sums.lz4Ms += nowMs() - startMs;
      sums.pages += 1;
      sums.deltaBytes += delta >= 0 ? delta : PAGE_BYTES;
      sums.lz4Bytes += packed > 0 ? packed : PAGE_BYTES;
    }
    return sums;
  }

  private keep(pfn: number): void {
    this.copies.set(pfn, Uint8Array.from(this.page(pfn)));
  }

  private page(pfn: number): Uint8Array {
    const at = this.block.layout.ram + pfn * PAGE_BYTES;
    return this.block.bytes.subarray(at, at + PAGE_BYTES);
  }
}
