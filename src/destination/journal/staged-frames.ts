import { PAGE_BYTES } from '../../base/index.ts';
import type { SlotFrame } from '../../channel/index.ts';
import type { Machine, RamBlock } from '../../guestmem/index.ts';
import { FRAME_HEADER_BYTES, PAGE_ENTRY_BYTES } from '../../protocol/index.ts';

/** About 2 ms of the default rate: a request for a page never waits long behind one. */
const FRAME_PAGES = 16;
const FRAME_BYTES = FRAME_HEADER_BYTES + FRAME_PAGES * (PAGE_BYTES + PAGE_ENTRY_BYTES);
/** A loader of pages has slots 0 and 2 of a block (guestmem/block/block-layout.ts). */
const STAGING_SLOT = 1;

/** Pages that were copied out of the guest, ready to be sent. */
export interface StagedFrame {
  /** Room for the header, then the body. */
  readonly bytes: Buffer;
  readonly slot: Omit<SlotFrame, 'type'>;
  readonly pages: number;
}

/**
 * Where pages of a point lie until they are sent: the guest waits while they are copied, and not
 * while they travel (Remus). The memory is kept from point to point, for touching it the first time
 * is what costs.
 */
export class StagedFrames {
  private readonly buffers: Buffer[] = [];
  private used = 0;

  /** What lies here was sent, or is given up. */
  clear(): void {
    this.used = 0;
  }

  /** All dirty pages, ascending; each mark is cleared before its page is copied. */
  takeAll(machine: Machine): StagedFrame[] {
    const frames: StagedFrame[] = [];
    for (const block of machine.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount; ) {
        const taken = this.take(block, next);
        if (taken === undefined) break;
        frames.push(taken.frame);
        next = taken.next;
      }
    }
    return frames;
  }

  /** Some dirty pages of `block` from page `from` on, and where to go on. Undefined: none. */
  take(block: RamBlock, from: number): { frame: StagedFrame; next: number } | undefined {
    const { count, next } = block.takeDirty(from, FRAME_PAGES);
    if (count === 0) return undefined;
    const at = block.slotAddress(STAGING_SLOT) + FRAME_HEADER_BYTES;
    const { bodyBytes, tableBytes, tableCrc } = block.gather(at, count, false, false, 0);
    const bytes = this.buffer();
    bytes.set(block.bytes.subarray(at, at + bodyBytes), FRAME_HEADER_BYTES);
    const { index } = block.layout;
    const slot = { block: index, bodyBytes, checkedBytes: tableBytes, checkedCrc: tableCrc };
    return { frame: { bytes, slot, pages: count }, next };
  }

  private buffer(): Buffer {
    const { used } = this;
    this.used += 1;
    const buffer = this.buffers[used] ?? Buffer.allocUnsafeSlow(FRAME_BYTES);
    this.buffers[used] = buffer;
    return buffer;
  }
}
