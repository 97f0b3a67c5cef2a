import { assert, BATCH_PAGES_MAX, type Clock, toSternaError } from '../base/index.ts';
import type { Channel } from '../channel/index.ts';
import {
  type GatherResult,
  type GuestMemory,
  type RamBlock,
  URGENT_SLOT_COUNT,
} from '../guestmem/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES, type MessageType } from '../protocol/index.ts';
import type { Codec, CodedBody } from './codec/codec.ts';
import { FrameOrder } from './codec/frame-order.ts';
import type { LinkState } from './codec/link-use.ts';
import { StagingSlots } from './codec/staging-slots.ts';
import { addCompressed, addFrame, type PageTotals } from './counters.ts';
import type { PageChannels } from './further/page-channels.ts';
import type { Interrupt } from './interrupt.ts';
import type { LinkMeter } from './link-meter.ts';
import type { BatchOptions, PageSupply } from './precopy/page-supply.ts';
import { SendPace } from './send-pace.ts';

/** A full table of zero runs. */
const EMPTY_RUN_ENTRIES_MAX = BATCH_PAGES_MAX;

/**
 * Writes pages to the channels: one kernel call and one write a frame, straight from the staging
 * slot in shared memory. Between frames it yields to the event loop once, or a peer that keeps up
 * would never be heard (docs/adr/0003).
 */
export class PageSender {
  private readonly memory: GuestMemory;
  private readonly channels: PageChannels;
  private readonly clock: Clock;
  private readonly interrupt: Interrupt;
  private readonly meter: LinkMeter;
  private readonly codec: Codec;
  private readonly order = new FrameOrder();
  private readonly pace: SendPace;
  private readonly slots: StagingSlots;
  private readonly freeUrgentSlots: number[][];
  private pushesDeltas = false;
  private batchCount = 0;
  /** What the frame that is being made has waited for the link, and since when it is made. */
  private waitedMs = 0;
  private turnMs = 0;

  constructor(
    memory: GuestMemory,
    channels: PageChannels,
    clock: Clock,
    interrupt: Interrupt,
    meter: LinkMeter,
    codec: Codec,
    limitBytesPerSecond: number,
  ) {
    this.memory = memory;
    this.channels = channels;
    this.clock = clock;
    this.interrupt = interrupt;
    this.meter = meter;
    this.codec = codec;
    this.pace = new SendPace(clock, meter, limitBytesPerSecond);
    this.slots = new StagingSlots(memory);
    this.freeUrgentSlots = memory.blocks.map(() => range(URGENT_SLOT_COUNT));
  }

  /** PAGE_BATCH frames sent so far. */
  get batches(): number {
    return this.batchCount;
  }

  /** Bytes sent and not yet acknowledged. */
  get inFlightBytes(): number {
    return Math.max(0, this.channels.sentBytes - this.meter.acknowledgedBytes);
  }

  /**
   * The user's, 0: unlimited. Takes effect with the next frame, also of a sender that waits now.
   */
  setLimit(bytesPerSecond: number): void {
    this.pace.setUserLimit(bytesPerSecond);
    this.interrupt.wake();
  }

  /** A policy's, below the user's; 0: none. Takes effect as that does. */
  setPace(bytesPerSecond: number): void {
    this.pace.setPolicyLimit(bytesPerSecond);
    this.interrupt.wake();
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
        this.submit(block, slot, frame, totals);
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
        if (options.until?.()) return this.flush();
        const slot = await this.turn(block, options.limited);
        const taken = block.takeDirty(next, this.pace.framePages(options.limited));
        next = taken.next;
        if (taken.count === 0) {
          this.release(block, slot);
          break;
        }
        this.sendListed(block, slot, taken.count, totals, options);
        pageSent(taken.count);
      }
    }
    await this.flush();
  }

  /** Sends the pages of a supply in its order. */
  async sendSupplied(
    supply: PageSupply,
    totals: PageTotals,
    options: BatchOptions,
    pagesSent: (pages: number) => void,
  ): Promise<void> {
    for (;;) {
      if (options.until?.()) return this.flush();
      await supply.prepare();
      const block = supply.nextBlock();
      if (block === undefined) return this.flush();
      const slot = await this.turn(block, options.limited);
      const count = supply.take(block, this.pace.framePages(options.limited));
      if (count === 0) this.release(block, slot);
      else this.sendListed(block, slot, count, totals, options, supply);
      pagesSent(count);
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
        this.submit(block, slot, frame, totals);
        pagesSent(frame.zeroPages);
      }
    }
  }

  /**
   * The destination takes deltas also for missing pages. Not over a connection that follows a lost
   * one: what it had of a page may be damaged by a frame that was cut off.
   */
  agreeOnDeltas(): void {
    this.pushesDeltas = true;
  }

  /**
   * From now on pages are pushed while vCPUs wait for others: smaller frames, a smaller window, and
   * the limit of post-copy.
   */
  beginPush(limitBytesPerSecond: number): void {
    this.pace.beginPush();
    this.setPace(0);
    this.setLimit(limitBytesPerSecond);
  }

  /**
   * One frame of pages that `take` puts on the list of `block`, when its turn has come. Resolves to
   * their number; 0 when there were none any more.
   */
  async push(block: RamBlock, totals: PageTotals, take: (max: number) => number): Promise<number> {
    const slot = await this.turn(block, true);
    const count = take(this.pace.framePages(true));
    if (count === 0) {
      this.release(block, slot);
      return 0;
    }
    const startMs = this.clock.nowMs();
    const frame = block.gatherMissing(bodyAddress(block, slot), count, this.pushesDeltas);
    const gatherMs = this.clock.nowMs() - startMs;
    this.compress(block, slot, frame, totals, { gatherMs, limited: true, alone: true });
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
    const frame = block.gatherMissing(address, 1, this.pushesDeltas);
    addFrame(totals, frame, 0);
    const body = { block, address, frame, gatherMs: 0 };
    // It was asked for alone, so this is not a promise.
    const coded = this.codec.encode(body, () => this.linkState(false), true) as
      | CodedBody
      | undefined;
    if (coded !== undefined) addCompressed(totals, frame, coded.made, coded.ms);
    const { tableBytes } = frame;
    const { bodyBytes, tableCrc } = coded?.made ?? frame;
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

  /** Waits until a frame may be made: a free slot, room in the window, and the rate limit. */
  private async turn(block: RamBlock, limited: boolean): Promise<number> {
    await this.clock.yieldToLoop();
    await this.codec.look(this.interrupt, () => this.linkState(limited));
    this.interrupt.throwIfRaised();
    const startMs = this.clock.nowMs();
    // Where all slots are with helpers it is not the link that is waited for.
    const isForLink = this.order.isEmpty || this.windowIsFull();
    while (!this.hasSlot(block) || this.windowIsFull()) await this.interrupt.wait();
    const waitedMs = isForLink ? this.clock.nowMs() - startMs : 0;
    const limitedMs = this.clock.nowMs();
    while (limited) {
      const waitMs = this.pace.waitMs();
      if (waitMs <= 0) break;
      await this.interrupt.waitFor(waitMs);
    }
    this.turnMs = this.clock.nowMs();
    this.waitedMs = waitedMs + this.turnMs - limitedMs;
    return this.slots.take(block);
  }

  private hasSlot(block: RamBlock): boolean {
    return this.slots.hasFree(block, this.codec.isAhead || this.channels.isShared);
  }

  private windowIsFull(): boolean {
    return this.channels.duplex && this.inFlightBytes >= this.pace.windowBytes;
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
    const { encode, keep, age, limited } = options;
    const startMs = this.clock.nowMs();
    const { primeBucket = 0, keepOthers = false } = supply ?? {};
    const address = bodyAddress(block, slot);
    const shortest = encode && this.codec.wantsShortest;
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
    const gatherMs = this.clock.nowMs() - startMs;
    this.compress(block, slot, frame, totals, { gatherMs, limited });
  }

  /** A frame of pages goes out as it is, or as the codec makes it. */
  private compress(
    block: RamBlock,
    slot: number,
    frame: GatherResult,
    totals: PageTotals,
    how: { gatherMs: number; limited: boolean; alone?: boolean },
  ): void {
    const body = { block, address: bodyAddress(block, slot), frame, gatherMs: how.gatherMs };
    const coded = this.codec.encode(body, () => this.linkState(how.limited), how.alone);
    addFrame(totals, frame, how.gatherMs);
    const writes = (made: CodedBody | undefined) => () => {
      if (made !== undefined) addCompressed(totals, frame, made.made, made.ms);
      if (made?.wasBusy) totals.busyPages += made.made.lz4Pages + made.made.lz4Deltas;
      const { bodyBytes, tableCrc } = made?.made ?? frame;
      this.writeBatch(block, slot, { bodyBytes, tableCrc, tableBytes: frame.tableBytes });
    };
    if (frame.bodyBytes === 0) this.release(block, slot);
    else if (coded instanceof Promise)
      this.order.pending(coded.then(writes), (thrown) =>
        this.interrupt.raise(toSternaError(thrown, 'E_WORKER_DIED', 'Helper of the codec died')),
      );
    else this.order.ready(writes(coded));
    this.codec.use.frame(this.turnMs, this.waitedMs, this.clock.nowMs() - this.turnMs);
  }

  private linkState(limited: boolean): LinkState {
    return this.pace.linkState(limited, this.channels.sentBytes);
  }

  /** Waits until every frame has been given to the channel. */
  private async flush(): Promise<void> {
    while (!this.order.isEmpty) await this.interrupt.wait();
  }

  private submit(block: RamBlock, slot: number, frame: GatherResult, totals: PageTotals): void {
    addFrame(totals, frame, 0);
    if (frame.bodyBytes === 0) return this.release(block, slot);
    this.order.ready(() => this.writeBatch(block, slot, frame));
  }

  private writeBatch(
    block: RamBlock,
    slot: number,
    frame: Pick<GatherResult, 'bodyBytes' | 'tableBytes' | 'tableCrc'>,
  ): void {
    this.batchCount += 1;
    const { bodyBytes, tableBytes, tableCrc } = frame;
    const checked = { bodyBytes, checkedBytes: tableBytes, checkedCrc: tableCrc };
    this.write(block, slot, MESSAGE_TYPES.PAGE_BATCH, checked);
  }

  private write(
    block: RamBlock,
    slot: number,
    type: MessageType,
    frame: { bodyBytes: number; checkedBytes: number; checkedCrc: number },
  ): void {
    this.pace.take(FRAME_HEADER_BYTES + frame.bodyBytes);
    const sent = this.channels.sendSlot(block.slot(slot), {
      type,
      block: block.layout.index,
      ...frame,
    });
    this.meter.sent(this.channels.sentBytes, this.clock.nowMs());
    sent.then(
      () => {
        if (!this.channels.duplex)
          this.meter.delivered(this.channels.sentBytes, this.clock.nowMs());
        this.release(block, slot);
      },
      (error) => this.interrupt.raise(error),
    );
  }

  private release(block: RamBlock, slot: number): void {
    this.slots.release(block, slot);
    this.interrupt.wake();
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function bodyAddress(block: RamBlock, slot: number): number {
  return block.slotAddress(slot) + FRAME_HEADER_BYTES;
}
