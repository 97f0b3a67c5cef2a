import { BATCH_PAGES_MAX } from '../../base/index.ts';
import type { GatherResult, RamBlock } from '../../guestmem/index.ts';
import type { PageTotals } from '../counters.ts';
import type { BatchOptions, PageSupply } from '../precopy/page-supply.ts';
import { bodyAddress, type FrameSender, type FrameSenderParts } from './frame-sender.ts';

/** A full table of zero runs. */
const EMPTY_RUN_ENTRIES_MAX = BATCH_PAGES_MAX;

/** Sends the pages of a guest that has not left: what a pass of pre-copy, or the pause, has. */
export class PageSender {
  private readonly frames: FrameSender;
  private readonly parts: FrameSenderParts;

  constructor(frames: FrameSender, parts: FrameSenderParts) {
    this.frames = frames;
    this.parts = parts;
  }

  /**
   * Tells which pages never held anything, as zero runs. They are never read, so a sparse guest
   * stays sparse.
   */
  async sendEmptyRuns(totals: PageTotals): Promise<void> {
    await this.sendRuns(totals, (block, address, next) =>
      block.gatherEmpty(address, next, EMPTY_RUN_ENTRIES_MAX),
    );
  }

  /**
   * Tells which dirty pages hold only zeros; they are clean after that. The guest runs: a page that
   * it writes meanwhile is dirty again.
   */
  async sendZeros(totals: PageTotals, pagesSent: (pages: number) => void): Promise<void> {
    await this.sendRuns(totals, (block, address, next) => {
      const frame = block.gatherZeros(address, next, EMPTY_RUN_ENTRIES_MAX);
      pagesSent(frame.zeroPages);
      return frame;
    });
  }

  /**
   * Sends every page that is dirty now, ascending; each mark is cleared before its page is copied.
   */
  async sendDirty(
    totals: PageTotals,
    options: BatchOptions,
    pagesSent: (pages: number) => void,
  ): Promise<void> {
    const { frames } = this;
    for (const block of this.parts.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount; ) {
        if (options.until?.()) return frames.flush();
        const slot = await frames.turn(block, options.limited);
        const taken = block.takeDirty(next, frames.framePages(options.limited));
        next = taken.next;
        if (taken.count === 0) {
          frames.release(block, slot);
          break;
        }
        this.sendListed(block, slot, taken.count, totals, options);
        pagesSent(taken.count);
      }
    }
    await frames.flush();
  }

  /** Sends the pages of a supply in its order. */
  async sendSupplied(
    supply: PageSupply,
    totals: PageTotals,
    options: BatchOptions,
    pagesSent: (pages: number) => void,
  ): Promise<void> {
    const { frames } = this;
    for (;;) {
      if (options.until?.()) return frames.flush();
      await supply.prepare();
      const block = supply.nextBlock();
      if (block === undefined) return frames.flush();
      const slot = await frames.turn(block, options.limited);
      const count = supply.take(block, frames.framePages(options.limited));
      if (count === 0) frames.release(block, slot);
      else this.sendListed(block, slot, count, totals, options, supply);
      pagesSent(count);
    }
  }

  /** Frames of zero runs, each from where the one before ended. */
  private async sendRuns(
    totals: PageTotals,
    gather: (block: RamBlock, address: number, next: number) => GatherResult & { next: number },
  ): Promise<void> {
    const { frames } = this;
    for (const block of this.parts.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount; ) {
        const slot = await frames.turn(block, false);
        const frame = gather(block, bodyAddress(block, slot), next);
        next = frame.next;
        frames.sendRuns(block, slot, totals, frame);
      }
    }
  }

  /** One frame of the pages on the list of the block. */
  private sendListed(
    block: RamBlock,
    slot: number,
    count: number,
    totals: PageTotals,
    options: BatchOptions,
    supply?: PageSupply,
  ): void {
    const { clock, codec } = this.parts;
    const { encode, keep, age, limited } = options;
    const startMs = clock.nowMs();
    const { primeBucket = 0, keepOthers = false } = supply ?? {};
    const address = bodyAddress(block, slot);
    const shortest = encode && codec.wantsShortest;
    const frame = block.gather(
      address,
      count,
      encode,
      keep,
      age,
      primeBucket,
      keepOthers,
      shortest,
    );
    const gatherMs = clock.nowMs() - startMs;
    this.frames.sendPages(block, slot, totals, { frame, gatherMs, limited });
  }
}
