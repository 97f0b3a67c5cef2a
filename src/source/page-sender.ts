import { assert, BATCH_PAGES_MAX, type Clock, PAGE_BYTES } from '../base/index.ts';
import { type Channel, RateLimiter } from '../channel/index.ts';
import {
  type GatherResult,
  type GuestMemory,
  type RamBlock,
  URGENT_SLOT_COUNT,
} from '../guestmem/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES, type MessageType } from '../protocol/index.ts';
import { addFrame, type PageTotals } from './counters.ts';
import type { Interrupt } from './interrupt.ts';
import type { LinkMeter } from './link-meter.ts';

/**
 * Two slots keep the socket busy while the next batch is made; a ring of more gained nothing
 * (docs/adr/0003).
 */
const SLOTS_PER_BLOCK = 2;
/**
 * A frame takes about 2 ms of a limited link, or the limit would come in bursts (docs/adr/0003).
 */
const FRAME_MS = 2;
const BATCH_PAGES_MIN = 4;
/** In post-copy a page that is waited for goes behind a frame of this at most (docs/adr/0012). */
const PUSH_PAGES_MAX = 128;
const PUSH_PAGES_MIN = 2;
const PUSH_FRAME_MS = 0.5;
/** Of a link of which nothing is known; it may be a slow one. */
const PUSH_PAGES_UNMEASURED = 16;
/** A full table of zero runs. */
const EMPTY_RUN_ENTRIES_MAX = BATCH_PAGES_MAX;

export interface BatchOptions {
  /** Look pages up in the XBZRLE cache. */
  readonly encode: boolean;
  /** Insert and update cached pages. */
  readonly keep: boolean;
  /** Age of cache entries: the count of bitmap syncs. */
  readonly age: number;
  /** False while the guest stands still: the limit is lifted, as in QEMU. */
  readonly limited: boolean;
  /** Asked before each frame: true leaves the rest dirty. */
  readonly until?: () => boolean;
}

/**
 * Writes pages to the channel: one kernel call and one write a frame, straight from the staging
 * slot in shared memory. Between frames it yields to the event loop once, or a peer that keeps up
 * would never be heard (docs/adr/0003).
 */
export class PageSender {
  private readonly memory: GuestMemory;
  private readonly channel: Channel;
  private readonly clock: Clock;
  private readonly interrupt: Interrupt;
  private readonly meter: LinkMeter;
  private readonly limiter: RateLimiter;
  /** What holds: the lower one of the two below. */
  private limitBytesPerSecond: number;
  private userBytesPerSecond: number;
  private paceBytesPerSecond = 0;
  /** For each block, the slots that may be written. */
  private readonly freeSlots: number[][];
  private readonly freeUrgentSlots: number[][];
  private isPushing = false;
  private batchCount = 0;

  constructor(
    memory: GuestMemory,
    channel: Channel,
    clock: Clock,
    interrupt: Interrupt,
    meter: LinkMeter,
    limitBytesPerSecond: number,
  ) {
    this.memory = memory;
    this.channel = channel;
    this.clock = clock;
    this.interrupt = interrupt;
    this.meter = meter;
    this.limitBytesPerSecond = limitBytesPerSecond;
    this.userBytesPerSecond = limitBytesPerSecond;
    this.limiter = new RateLimiter(clock, limitBytesPerSecond);
    this.freeSlots = memory.blocks.map(() => range(SLOTS_PER_BLOCK));
    this.freeUrgentSlots = memory.blocks.map(() => range(URGENT_SLOT_COUNT));
  }

  /** PAGE_BATCH frames sent so far. */
  get batches(): number {
    return this.batchCount;
  }

  /** Bytes sent and not yet acknowledged. */
  get inFlightBytes(): number {
    return Math.max(0, this.channel.sentBytes - this.meter.acknowledgedBytes);
  }

  /**
   * The user's, 0: unlimited. Takes effect with the next frame, also of a sender that waits now.
   */
  setLimit(bytesPerSecond: number): void {
    this.userBytesPerSecond = bytesPerSecond;
    this.applyLimit();
  }

  /** A policy's, below the user's; 0: none. Takes effect as that does. */
  setPace(bytesPerSecond: number): void {
    this.paceBytesPerSecond = bytesPerSecond;
    this.applyLimit();
  }

  /**
   * Tells which pages never held anything, as zero runs. They are never read, so a sparse guest
   * stays sparse.
   */
  async sendEmptyRuns(totals: PageTotals): Promise<void> {
    for (const block of this.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount; ) {
        const slot = await this.turn(block, false);
        const frame = block.gatherEmpty(bodyAddress(block, slot), next, EMPTY_RUN_ENTRIES_MAX);
        next = frame.next;
        this.submit(block, slot, MESSAGE_TYPES.PAGE_BATCH, frame, totals, 0);
      }
    }
  }

  /**
   * Sends every page that is dirty now, ascending; each mark is cleared before its page is copied.
   */
  async sendDirty(
    totals: PageTotals,
    options: BatchOptions,
    pageSent: (pages: number) => void,
  ): Promise<void> {
    for (const block of this.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount; ) {
        if (options.until?.()) return;
        const slot = await this.turn(block, options.limited);
        const taken = block.takeDirty(next, this.batchPages(options.limited));
        next = taken.next;
        if (taken.count === 0) {
          this.release(block, slot);
          break;
        }
        const startMs = this.clock.nowMs();
        const address = bodyAddress(block, slot);
        const frame = block.gather(address, taken.count, options.encode, options.keep, options.age);
        const encodeMs = this.clock.nowMs() - startMs;
        this.submit(block, slot, MESSAGE_TYPES.PAGE_BATCH, frame, totals, encodeMs);
        pageSent(taken.count);
      }
    }
  }

  /**
   * Tells which dirty pages hold only zeros; they are clean after that. The guest runs: a page that
   * it writes meanwhile is dirty again.
   */
  async sendZeros(totals: PageTotals, pagesSent: (pages: number) => void): Promise<void> {
    for (const block of this.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount; ) {
        const slot = await this.turn(block, false);
        const address = bodyAddress(block, slot);
        const frame = block.gatherZeros(address, next, EMPTY_RUN_ENTRIES_MAX);
        next = frame.next;
        this.submit(block, slot, MESSAGE_TYPES.PAGE_BATCH, frame, totals, 0);
        pagesSent(frame.zeroPages);
      }
    }
  }

  /**
   * From now on pages are pushed while vCPUs wait for others: smaller frames, a smaller window, and
   * the limit of post-copy.
   */
  beginPush(limitBytesPerSecond: number): void {
    this.isPushing = true;
    this.paceBytesPerSecond = 0;
    this.setLimit(limitBytesPerSecond);
  }

  /**
   * One frame of pages that `take` puts on the list of `block`, when its turn has come. Resolves to
   * their number; 0 when there were none any more.
   */
  async push(block: RamBlock, totals: PageTotals, take: (max: number) => number): Promise<number> {
    const slot = await this.turn(block, true);
    const count = take(this.batchPages(true));
    if (count === 0) {
      this.release(block, slot);
      return 0;
    }
    const frame = block.gather(bodyAddress(block, slot), count, false, false, 0);
    this.submit(block, slot, MESSAGE_TYPES.PAGE_BATCH, frame, totals, 0);
    return count;
  }

  /** Whether `sendUrgent` can be called: many more than the vCPUs of a guest can wait for. */
  hasUrgentSlot({ layout }: RamBlock): boolean {
    return (this.freeUrgentSlots[layout.index]?.length ?? 0) > 0;
  }

  /**
   * Sends the one page on the list of `block` now, ahead of all that is not written yet; neither
   * window nor limit holds it back.
   */
  sendUrgent(block: RamBlock, channel: Channel, totals: PageTotals): void {
    const free = this.freeUrgentSlots[block.layout.index];
    const slot = free?.pop();
    assert(slot !== undefined && free !== undefined, 'The caller has asked for a small slot');
    const address = block.urgentSlotAddress(slot) + FRAME_HEADER_BYTES;
    const frame = block.gather(address, 1, false, false, 0);
    const { bodyBytes, tableBytes, tableCrc } = frame;
    addFrame(totals, frame, 0);
    this.batchCount += 1;
    const sent = channel.sendSlot(block.urgentSlot(slot), {
      type: MESSAGE_TYPES.PAGE_BATCH,
      block: block.layout.index,
      bodyBytes,
      checkedBytes: tableBytes,
      checkedCrc: tableCrc,
    });
    sent.then(
      () => free.push(slot),
      (error) => this.interrupt.raise(error),
    );
  }

  /** Sends a frame that `fill` writes into a slot's body. For frames that are not page batches. */
  async sendBody(
    block: RamBlock,
    type: MessageType,
    fill: (body: Buffer, address: number) => { bodyBytes: number; checkedCrc: number },
  ): Promise<void> {
    const slot = await this.turn(block, false);
    const body = block.slot(slot).subarray(FRAME_HEADER_BYTES);
    const { bodyBytes, checkedCrc } = fill(body, bodyAddress(block, slot));
    this.write(block, slot, type, { bodyBytes, checkedBytes: bodyBytes, checkedCrc });
  }

  private applyLimit(): void {
    const limits = [this.userBytesPerSecond, this.paceBytesPerSecond].filter((limit) => limit > 0);
    this.limitBytesPerSecond = limits.length === 0 ? 0 : Math.min(...limits);
    this.limiter.setRate(this.limitBytesPerSecond);
    this.interrupt.wake();
  }

  /** Waits until a frame may be made: a free slot, room in the window, and the rate limit. */
  private async turn(block: RamBlock, limited: boolean): Promise<number> {
    const free = this.freeSlots[block.layout.index];
    assert(free !== undefined, 'Slots exist for each block');
    await this.clock.yieldToLoop();
    this.interrupt.throwIfRaised();
    while (free.length === 0 || this.windowIsFull()) await this.interrupt.wait();
    while (limited) {
      const waitMs = this.limiter.waitMs();
      if (waitMs <= 0) break;
      await this.interrupt.waitFor(waitMs);
    }
    const slot = free.pop();
    assert(slot !== undefined, 'Only this loop takes slots');
    return slot;
  }

  private windowIsFull(): boolean {
    const { windowBytes, pushWindowBytes } = this.meter;
    const limit = this.isPushing ? pushWindowBytes : windowBytes;
    return this.channel.duplex && this.inFlightBytes >= limit;
  }

  private batchPages(limited: boolean): number {
    const limit =
      limited && this.limitBytesPerSecond > 0 ? this.limitBytesPerSecond / 1000 : undefined;
    const bytesPerMs = limit ?? this.meter.bytesPerMs;
    const max = this.isPushing ? PUSH_PAGES_MAX : BATCH_PAGES_MAX;
    const min = this.isPushing ? PUSH_PAGES_MIN : BATCH_PAGES_MIN;
    if (bytesPerMs === undefined) return this.isPushing ? PUSH_PAGES_UNMEASURED : max;
    const frameMs = this.isPushing ? PUSH_FRAME_MS : FRAME_MS;
    const pages = Math.floor((bytesPerMs * frameMs) / PAGE_BYTES);
    return Math.min(max, Math.max(min, pages));
  }

  private submit(
    block: RamBlock,
    slot: number,
    type: MessageType,
    frame: GatherResult,
    totals: PageTotals,
    encodeMs: number,
  ): void {
    addFrame(totals, frame, encodeMs);
    if (frame.bodyBytes === 0) return this.release(block, slot);
    this.batchCount += 1;
    const { bodyBytes, tableBytes, tableCrc } = frame;
    this.write(block, slot, type, { bodyBytes, checkedBytes: tableBytes, checkedCrc: tableCrc });
  }

  private write(
    block: RamBlock,
    slot: number,
    type: MessageType,
    frame: { bodyBytes: number; checkedBytes: number; checkedCrc: number },
  ): void {
    this.limiter.take(FRAME_HEADER_BYTES + frame.bodyBytes);
    const sent = this.channel.sendSlot(block.slot(slot), {
      type,
      block: block.layout.index,
      ...frame,
    });
    sent.then(
      () => {
        if (!this.channel.duplex) this.meter.delivered(this.channel.sentBytes, this.clock.nowMs());
        this.release(block, slot);
      },
      (error) => this.interrupt.raise(error),
    );
  }

  private release(block: RamBlock, slot: number): void {
    this.freeSlots[block.layout.index]?.push(slot);
    this.interrupt.wake();
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function bodyAddress(block: RamBlock, slot: number): number {
  return block.slotAddress(slot) + FRAME_HEADER_BYTES;
}
