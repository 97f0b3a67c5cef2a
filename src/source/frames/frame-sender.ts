import { type Clock, toSternaError } from '../../base/index.ts';
import type { GatherResult, GuestMemory, RamBlock } from '../../guestmem/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES, type MessageType } from '../../protocol/index.ts';
import type { Codec, CodedBody } from '../codec/codec.ts';
import type { LinkState } from '../codec/link-use.ts';
import { addCompressed, addFrame, type PageTotals } from '../counters.ts';
import type { PageChannels } from '../further/page-channels.ts';
import type { Interrupt } from '../interrupt.ts';
import type { LinkMeter } from '../link-meter.ts';
import { FrameOrder } from './frame-order.ts';
import { SendPace } from './send-pace.ts';
import { StagingSlots } from './staging-slots.ts';

export interface FrameSenderParts {
  readonly memory: GuestMemory;
  readonly channels: PageChannels;
  readonly clock: Clock;
  readonly interrupt: Interrupt;
  readonly meter: LinkMeter;
  readonly codec: Codec;
}

/** A body of pages that a kernel has made, and what is to be known of it. */
export interface GatheredFrame {
  readonly frame: GatherResult;
  readonly gatherMs: number;
  /** Under the rate limit, as its turn was. */
  readonly limited: boolean;
  /** Compressed in this thread, as `Codec.encode` says: what a helper has would wait for it. */
  readonly alone?: boolean;
}

/**
 * How a frame goes to the channels, whatever pages are in it: a turn, a staging slot in shared
 * memory that the caller fills with one kernel call, the codec, one write. Between frames it yields
 * to the event loop once, or a peer that keeps up would never be heard (docs/adr/0003).
 */
export class FrameSender {
  private readonly parts: FrameSenderParts;
  private readonly order = new FrameOrder();
  private readonly pace: SendPace;
  private readonly slots: StagingSlots;
  private batchCount = 0;
  /** What the frame that is being made has waited for the link, and since when it is made. */
  private waitedMs = 0;
  private turnMs = 0;

  constructor(parts: FrameSenderParts, limitBytesPerSecond: number) {
    this.parts = parts;
    this.pace = new SendPace(parts.clock, parts.meter, limitBytesPerSecond);
    this.slots = new StagingSlots(parts.memory);
  }

  /** PAGE_BATCH frames sent so far. */
  get batches(): number {
    return this.batchCount;
  }

  /** Bytes sent and not yet acknowledged. */
  get inFlightBytes(): number {
    const { channels, meter } = this.parts;
    return Math.max(0, channels.sentBytes - meter.acknowledgedBytes);
  }

  /**
   * The user's, 0: unlimited. Takes effect with the next frame, also of a sender that waits now.
   */
  setLimit(bytesPerSecond: number): void {
    this.pace.setUserLimit(bytesPerSecond);
    this.parts.interrupt.wake();
  }

  /** A policy's, below the user's; 0: none. Takes effect as that does. */
  setPace(bytesPerSecond: number): void {
    this.pace.setPolicyLimit(bytesPerSecond);
    this.parts.interrupt.wake();
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

  /** How many pages the next frame may have. */
  framePages(limited: boolean): number {
    return this.pace.framePages(limited);
  }

  /**
   * Waits until a frame may be made: a free slot, room in the window, and the rate limit. Whoever
   * has a slot sends it, or releases it.
   */
  async turn(block: RamBlock, limited: boolean): Promise<number> {
    const { clock, codec, interrupt } = this.parts;
    await clock.yieldToLoop();
    await codec.look(interrupt, () => this.linkState(limited));
    interrupt.throwIfRaised();
    const startMs = clock.nowMs();
    // Where all slots are with helpers it is not the link that is waited for.
    const isForLink = this.order.isEmpty || this.windowIsFull();
    while (!this.hasSlot(block) || this.windowIsFull()) await interrupt.wait();
    const waitedMs = isForLink ? clock.nowMs() - startMs : 0;
    const limitedMs = clock.nowMs();
    while (limited) {
      const waitMs = this.pace.waitMs();
      if (waitMs <= 0) break;
      await interrupt.waitFor(waitMs);
    }
    this.turnMs = clock.nowMs();
    this.waitedMs = waitedMs + this.turnMs - limitedMs;
    return this.slots.take(block);
  }

  release(block: RamBlock, slot: number): void {
    this.slots.release(block, slot);
    this.parts.interrupt.wake();
  }

  /** Sends a frame of pages as it is, or as the codec makes it. */
  sendPages(block: RamBlock, slot: number, totals: PageTotals, gathered: GatheredFrame): void {
    const { clock, codec, interrupt } = this.parts;
    const { frame, gatherMs, limited, alone } = gathered;
    const body = { block, address: bodyAddress(block, slot), frame, gatherMs };
    const coded = codec.encode(body, () => this.linkState(limited), alone);
    addFrame(totals, frame, gatherMs);
    const writes = (made: CodedBody | undefined) => () => {
      if (made !== undefined) addCompressed(totals, frame, made.made, made.ms);
      if (made?.wasBusy) totals.busyPages += made.made.lz4Pages + made.made.lz4Deltas;
      const { bodyBytes, tableCrc } = made?.made ?? frame;
      this.writeBatch(block, slot, { bodyBytes, tableCrc, tableBytes: frame.tableBytes });
    };
    if (frame.bodyBytes === 0) this.release(block, slot);
    else if (coded instanceof Promise)
      this.order.pending(coded.then(writes), (thrown) =>
        interrupt.raise(toSternaError(thrown, 'E_WORKER_DIED', 'Helper of the codec died')),
      );
    else this.order.ready(writes(coded));
    codec.use.frame(this.turnMs, this.waitedMs, clock.nowMs() - this.turnMs);
  }

  /** Sends a frame in which no page has a body: there is nothing to compress. */
  sendRuns(block: RamBlock, slot: number, totals: PageTotals, frame: GatherResult): void {
    addFrame(totals, frame, 0);
    if (frame.bodyBytes === 0) return this.release(block, slot);
    this.order.ready(() => this.writeBatch(block, slot, frame));
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

  /** A PAGE_BATCH that went past all this. */
  countBatch(): void {
    this.batchCount += 1;
  }

  linkState(limited: boolean): LinkState {
    return this.pace.linkState(limited, this.parts.channels.sentBytes);
  }

  /** Waits until every frame has been given to the channel. */
  async flush(): Promise<void> {
    while (!this.order.isEmpty) await this.parts.interrupt.wait();
  }

  private hasSlot(block: RamBlock): boolean {
    const { codec, channels } = this.parts;
    return this.slots.hasFree(block, codec.isAhead || channels.isShared);
  }

  private windowIsFull(): boolean {
    return this.parts.channels.duplex && this.inFlightBytes >= this.pace.windowBytes;
  }

  private writeBatch(
    block: RamBlock,
    slot: number,
    frame: Pick<GatherResult, 'bodyBytes' | 'tableBytes' | 'tableCrc'>,
  ): void {
    this.countBatch();
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
    const { channels, clock, interrupt, meter } = this.parts;
    this.pace.take(FRAME_HEADER_BYTES + frame.bodyBytes);
    const sent = channels.sendSlot(block.slot(slot), { type, block: block.layout.index, ...frame });
    meter.sent(channels.sentBytes, clock.nowMs());
    sent.then(
      () => {
        if (!channels.duplex) meter.delivered(channels.sentBytes, clock.nowMs());
        this.release(block, slot);
      },
      (error) => interrupt.raise(error),
    );
  }
}

/** Where the body of a frame begins in a slot, behind its header. */
export function bodyAddress(block: RamBlock, slot: number): number {
  return block.slotAddress(slot) + FRAME_HEADER_BYTES;
}
