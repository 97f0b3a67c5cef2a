import { PAGE_BYTES } from '../../../base/index.ts';
import type { EncoderModel } from './encoder-model.ts';
import type { LinkModel } from './link-model.ts';
import { PageBits } from './page-bits.ts';
import { SendOrder } from './send-order.ts';

/** As `source/precopy/precopy.ts` has it. */
const PASS_MS_MIN = 5;
/** As `source/precopy/page-order.ts` has them. */
const SYNCS_PER_PASS = 64;
const SYNC_INTERVAL_MS_MIN = 50;
const SYNC_INTERVAL_MS_MAX = 1000;

export interface PassOptions {
  /** The coldest pages first; else ascending. */
  readonly byWeight: boolean;
  /** The log is synced within the pass; else at its end alone. */
  readonly syncs: boolean;
  /** The rest stays dirty after so long. */
  readonly msMax: number | undefined;
}

export interface SimulatedPass {
  readonly sentPages: number;
  readonly wireBytes: number;
  readonly encodeMs: number;
  readonly durationMs: number;
  /** Pages that the guest has written in it, each counted once, as the engine counts them. */
  readonly writtenPages: number;
}

/**
 * Passes of pre-copy over the dirty pages of a guest. The log is read now and then, so a page that
 * was dirtied in the stretch in which it went is dirty again; with syncs within the pass one that
 * was dirtied before its turn goes once, as it then is.
 */
export class PassSender {
  private readonly dirty: PageBits;
  private readonly encoder: EncoderModel;
  private readonly link: LinkModel;
  private readonly order: SendOrder;
  private readonly fresh: PageBits;
  private readonly written: PageBits;

  constructor(pageCount: number, dirty: PageBits, encoder: EncoderModel, link: LinkModel) {
    this.dirty = dirty;
    this.encoder = encoder;
    this.link = link;
    this.order = new SendOrder(pageCount, new PageBits(pageCount));
    this.fresh = new PageBits(pageCount);
    this.written = new PageBits(pageCount);
  }

  /**
   * Sends what is dirty now. `letRun` lets the guest run for so long and adds what it dirties;
   * `firstBytes` go out before the first page.
   */
  send(
    options: PassOptions,
    firstBytes: number,
    letRun: (ms: number, into: PageBits) => void,
  ): SimulatedPass {
    const { dirty, order, link, written } = this;
    const pages = dirty.count;
    order.begin(dirty, options.byWeight);
    written.clear();
    const stretchMs = options.syncs ? this.syncIntervalMs(pages) : Number.POSITIVE_INFINITY;
    const msMax = options.msMax ?? Number.POSITIVE_INFINITY;
    const dirtyBefore = pages;
    let [sentPages, wireBytes, encodeMs, durationMs] = [0, firstBytes, 0, 0];
    let credit = link.roomBytes - firstBytes;
    let sendMs = 0;
    for (let isOver = false; !isOver; ) {
      const stretch = this.take(Math.min(stretchMs, msMax - durationMs), credit);
      sentPages += stretch.pages;
      wireBytes += stretch.wireBytes;
      encodeMs += stretch.encodeMs;
      isOver = stretch.pages === 0 || sentPages >= pages;
      const wireMs = Math.max(0, stretch.wireBytes - credit) / link.bytesPerMs;
      credit = Math.max(0, credit - stretch.wireBytes);
      sendMs += wireMs;
      const ms = Math.max(wireMs, stretch.encodeMs, isOver ? PASS_MS_MIN - durationMs : 0);
      durationMs += ms;
      isOver ||= durationMs >= msMax;
      this.run(ms, letRun, options);
    }
    link.wrote(wireBytes, Math.max(0, durationMs - sendMs));
    const isSynced = options.syncs;
    const writtenPages = isSynced ? written.count : dirty.count - (dirtyBefore - sentPages);
    return { sentPages, wireBytes, encodeMs, durationMs, writtenPages };
  }

  /** All pages that were written in the last pass. */
  get writtenInPass(): PageBits {
    return this.written;
  }

  private take(stretchMs: number, credit: number) {
    const { dirty, order, encoder, link } = this;
    const bytesMax = stretchMs * link.bytesPerMs + credit;
    let [pages, wireBytes, encodeMs] = [0, 0, 0];
    while (wireBytes < bytesMax && encodeMs < stretchMs) {
      const pfn = order.take();
      if (pfn === undefined) break;
      dirty.remove(pfn);
      const cost = encoder.costOf(pfn, true);
      pages += 1;
      wireBytes += cost.wireBytes;
      encodeMs += cost.encodeMs;
    }
    return { pages, wireBytes, encodeMs };
  }

  private run(
    ms: number,
    letRun: (ms: number, into: PageBits) => void,
    { syncs }: PassOptions,
  ): void {
    const { fresh, written, dirty, order } = this;
    fresh.clear();
    letRun(ms, fresh);
    written.addAll(fresh);
    dirty.addAll(fresh);
    if (syncs) order.sync(fresh);
  }

  private syncIntervalMs(pages: number): number {
    const passMs = (pages * PAGE_BYTES) / this.link.bytesPerMs;
    return Math.min(SYNC_INTERVAL_MS_MAX, Math.max(SYNC_INTERVAL_MS_MIN, passMs / SYNCS_PER_PASS));
  }
}
