import { assert } from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import { type RamBlock, URGENT_SLOT_COUNT } from '../../guestmem/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES } from '../../protocol/index.ts';
import type { CodedBody } from '../codec/codec.ts';
import { addCompressed, addFrame, type PageTotals } from '../counters.ts';
import { bodyAddress, type FrameSender, type FrameSenderParts } from './frame-sender.ts';

/**
 * Sends the pages of a guest that runs at the destination: a push of all in frames that take turns,
 * and the page that a vCPU waits for ahead of them, from a small slot of its own.
 */
export class MissingPageSender {
  private readonly frames: FrameSender;
  private readonly parts: FrameSenderParts;
  /** The free ones of each block. */
  private readonly urgentSlots: number[][];
  private sendsDeltas = false;

  constructor(frames: FrameSender, parts: FrameSenderParts) {
    this.frames = frames;
    this.parts = parts;
    const all = () => Array.from({ length: URGENT_SLOT_COUNT }, (_, slot) => slot);
    this.urgentSlots = parts.memory.blocks.map(all);
  }

  /**
   * The destination takes deltas also for missing pages. Not over a connection that follows a lost
   * one: what it had of a page may be damaged by a frame that was cut off.
   */
  agreeOnDeltas(): void {
    this.sendsDeltas = true;
  }

  /**
   * One frame of pages that `take` puts on the list of `block`, when its turn has come. Resolves to
   * their number; 0 when there were none any more.
   */
  async push(block: RamBlock, totals: PageTotals, take: (max: number) => number): Promise<number> {
    const { frames } = this;
    const { clock } = this.parts;
    const slot = await frames.turn(block, true);
    const count = take(frames.framePages(true));
    if (count === 0) {
      frames.release(block, slot);
      return 0;
    }
    const startMs = clock.nowMs();
    const frame = block.gatherMissing(bodyAddress(block, slot), count, this.sendsDeltas);
    const gatherMs = clock.nowMs() - startMs;
    frames.sendPages(block, slot, totals, { frame, gatherMs, limited: true, alone: true });
    return count;
  }

  /** Whether `sendUrgent` can be called: many more than the vCPUs of a guest can wait for. */
  hasUrgentSlot(block: RamBlock): boolean {
    return this.freeSlots(block).length > 0;
  }

  /**
   * Sends the one page on the list of `block` now, ahead of all that is not written yet; neither
   * window nor limit holds it back.
   */
  sendUrgent(block: RamBlock, channel: Channel, totals: PageTotals): void {
    const { codec, interrupt } = this.parts;
    const free = this.freeSlots(block);
    const slot = free.pop();
    assert(slot !== undefined, 'The caller has asked for a small slot');
    const address = block.urgentSlotAddress(slot) + FRAME_HEADER_BYTES;
    const frame = block.gatherMissing(address, 1, this.sendsDeltas);
    addFrame(totals, frame, 0);
    const body = { block, address, frame, gatherMs: 0 };
    // It was asked for alone, so this is not a promise.
    const coded = codec.encode(body, () => this.frames.linkState(false), true) as
      | CodedBody
      | undefined;
    if (coded !== undefined) addCompressed(totals, frame, coded.made, coded.ms);
    const { bodyBytes, tableCrc } = coded?.made ?? frame;
    this.frames.countBatch();
    const sent = channel.sendSlot(block.urgentSlot(slot), {
      type: MESSAGE_TYPES.PAGE_BATCH,
      block: block.layout.index,
      bodyBytes,
      checkedBytes: frame.tableBytes,
      checkedCrc: tableCrc,
    });
    sent.then(
      () => free.push(slot),
      (error) => interrupt.raise(error),
    );
  }

  private freeSlots({ layout }: RamBlock): number[] {
    const free = this.urgentSlots[layout.index];
    assert(free !== undefined, 'Slots exist for each block');
    return free;
  }
}
