import { PAGE_BYTES } from '../../base/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import type { DirtiedPages } from '../counters.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { PageSupply } from './page-supply.ts';

/**
 * A pass is cut into so many stretches, with a sync after each: reordering saves nothing when the
 * log is read once a pass (Svärd et al. 2011, CloudCom), and more syncs find little more.
 */
const SYNCS_PER_PASS = 64;
const SYNC_INTERVAL_MS_MIN = 50;
const SYNC_INTERVAL_MS_MAX = 1000;
/** So many times as long as it took: syncs cost at most 1.6 % of the time. */
const SYNC_COST_FACTOR = 64;
/**
 * Weights are halved after so many syncs, eight times in a long pass: what was dirtied in an
 * earlier phase of the guest is forgotten within a pass.
 */
const SYNCS_PER_HALVING = 8;
/**
 * For so many syncs, a quarter of a long first pass, it is not known which pages are hot: a page
 * that goes in this time is kept where there is room.
 */
const LEARNING_SYNCS = 16;
/** Any page that was dirtied lately; bucket 0 has the others. */
const HOT_BUCKET = 1;
/** The hottest. */
const LAST_BUCKET = 8;

/**
 * Dynamic page transfer reordering: a pass sends its coldest pages first and its hottest last, and
 * syncs the dirty log many times meanwhile, so that a page that is dirtied again before its turn
 * goes once, later. Without `x-reorder` pages go ascending; the first pass of a migration with
 * XBZRLE syncs all the same, because it primes the cache with the pages that are hot.
 *
 * A pass ends: it sends the pages that were dirty when it began, each once, and each turn takes at
 * least one of them. A page that is dirtied again after that is the next pass's. So no page is put
 * off for ever, and every page has gone once before the guest stands still.
 */
export class PageOrder implements PageSupply {
  private readonly context: OutgoingContext;
  private readonly noteSync: (byLog: readonly number[]) => void;
  private readonly blocks: readonly RamBlock[];
  /** For each block, where to go on. */
  private readonly cursors: number[];
  private pass = 0;
  private isByWeight = false;
  private isWeighing = false;
  private syncsUntilHalving = SYNCS_PER_HALVING;
  private nextSyncMs = 0;
  private syncCostMs = 0;
  private passPages = 0;
  private added = 0;

  /** `noteSync` is told after each sync how many pages each log had made dirty. */
  constructor(context: OutgoingContext, noteSync: (byLog: readonly number[]) => void) {
    this.context = context;
    this.noteSync = noteSync;
    this.blocks = context.machine.memory.blocks;
    this.cursors = this.blocks.map(() => 0);
  }

  /** What is dirty now is to be sent. */
  beginPass(pass: number, dirtyPages: number): void {
    const { parameters, capabilities, clock } = this.context;
    this.pass = pass;
    this.passPages = dirtyPages;
    this.added = 0;
    this.isByWeight = parameters.reorder === 'on';
    this.isWeighing = this.isByWeight || (capabilities.xbzrle && pass === 1);
    this.cursors.fill(0);
    for (const { order } of this.blocks) {
      if (this.isWeighing) order.begin(this.isByWeight);
      else order.end();
    }
    this.nextSyncMs = clock.nowMs() + this.intervalMs();
  }

  /** False: pages go ascending, and whatever is dirty when its turn comes. */
  get isNeeded(): boolean {
    return this.isWeighing;
  }

  /** A page of this bucket, or of a hotter one, is worth a place in the cache; 0: none is now. */
  get primeBucket(): number {
    const { capabilities } = this.context;
    if (!capabilities.xbzrle || this.pass > 1) return 0;
    return this.isByWeight ? this.hottestThatFit() : HOT_BUCKET;
  }

  get keepOthers(): boolean {
    const { capabilities, record } = this.context;
    const syncs = record.currentPass?.syncs ?? 0;
    return capabilities.xbzrle && this.pass === 1 && syncs < LEARNING_SYNCS;
  }

  /** Syncs when it is time. */
  async prepare(): Promise<void> {
    const { clock, record } = this.context;
    const { currentPass } = record;
    if (currentPass === undefined || clock.nowMs() < this.nextSyncMs) return;
    const startMs = clock.nowMs();
    currentPass.syncs += 1;
    this.added += await this.sync();
    const endMs = clock.nowMs();
    this.syncCostMs = endMs - startMs;
    this.nextSyncMs = endMs + this.intervalMs();
  }

  /** Of the blocks that have pages to be sent, the one with the coldest. */
  nextBlock(): RamBlock | undefined {
    let coldest: RamBlock | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    for (const block of this.blocks) {
      const bucket = block.order.coldest ?? Number.POSITIVE_INFINITY;
      if (bucket < lowest) {
        lowest = bucket;
        coldest = block;
      }
    }
    return coldest;
  }

  take(block: RamBlock, max: number): number {
    const { index } = block.layout;
    const taken = block.order.take(this.cursors[index] ?? 0, max);
    this.cursors[index] = taken.next;
    return taken.count;
  }

  /** The sync that ends a pass. */
  async endPass(): Promise<DirtiedPages> {
    const added = await this.sync();
    const dirtied = this.added + added;
    this.added = 0;
    // What is written before its turn was dirty already, and counts as written all the same.
    const written = this.isWeighing
      ? this.blocks.reduce((pages, { order }) => pages + order.takeWritten(), 0)
      : dirtied;
    return { dirtied, written };
  }

  /** Pre-copy is over. */
  end(): void {
    for (const { order } of this.blocks) order.end();
  }

  /** Returns the pages that were not dirty. */
  private async sync(): Promise<number> {
    const { machine, record } = this.context;
    await machine.flipDirtyLogs();
    const byLog = machine.memory.mergeRetiredLogsEach();
    this.noteSync(byLog);
    const added = byLog.reduce((sum, pages) => sum + pages, 0);
    record.remainingPages += added;
    this.syncsUntilHalving -= 1;
    if (this.isWeighing && this.syncsUntilHalving <= 0) {
      this.syncsUntilHalving = SYNCS_PER_HALVING;
      for (const { order } of this.blocks) order.halve();
    }
    return added;
  }

  /** A slow link has long passes, in which pages of long periods are hot. */
  private intervalMs(): number {
    const { meter, parameters } = this.context;
    const limit = parameters.maxBandwidthBytesPerSecond / 1000;
    const measured = meter.bytesPerMs ?? 0;
    const bytesPerMs = limit > 0 && measured > 0 ? Math.min(limit, measured) : limit || measured;
    const passMs = bytesPerMs === 0 ? 0 : (this.passPages * PAGE_BYTES) / bytesPerMs;
    const wantedMs = Math.min(SYNC_INTERVAL_MS_MAX, passMs / SYNCS_PER_PASS);
    return Math.max(SYNC_INTERVAL_MS_MIN, wantedMs, this.syncCostMs * SYNC_COST_FACTOR);
  }

  /**
   * The lowest bucket for which the hotter pages that are still to come leave room: those that are
   * kept because nothing was known of them give way.
   */
  private hottestThatFit(): number {
    const capacity = this.blocks.reduce((sum, { cache }) => sum + cache.capacityPages, 0);
    const counts = this.blocks.map(({ order }) => order.pendingByBucket);
    let room = capacity - (this.context.record.currentPass?.totals.primedPages ?? 0);
    for (let bucket = LAST_BUCKET; bucket >= HOT_BUCKET; bucket -= 1) {
      if (room <= 0) return bucket + 1;
      room -= counts.reduce((sum, pages) => sum + (pages[bucket] ?? 0), 0);
    }
    return HOT_BUCKET;
  }
}
