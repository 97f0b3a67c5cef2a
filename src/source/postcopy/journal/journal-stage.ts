import { PAGE_BYTES, SternaError } from '../../../base/index.ts';
import type { GuestMemory, RamBlock } from '../../../guestmem/index.ts';

const CHUNK_PAGES = 256;

/** What has come of one block: where each page lies, and which ones are zeros now. */
interface StagedBlock {
  readonly slots: Map<number, number>;
  readonly zeros: Set<number>;
}

/**
 * Pages of the point that is coming in, the newest of each. Memory is taken as pages really come,
 * and is kept for the next point; the guest's RAM is not touched before the point is whole.
 */
export class JournalStage {
  private readonly memory: GuestMemory;
  private readonly pagesMax: number;
  private readonly blocks: readonly StagedBlock[];
  private readonly chunks: Buffer[] = [];
  private usedSlots = 0;
  private pages = 0;

  constructor(memory: GuestMemory, pagesMax: number) {
    this.memory = memory;
    this.pagesMax = pagesMax;
    this.blocks = memory.blocks.map(() => ({ slots: new Map(), zeros: new Set() }));
  }

  /** Different pages that have come. */
  get pageCount(): number {
    return this.pages;
  }

  /** `content`: undefined for zeros. Throws E_PROTOCOL_BAD_BODY beyond the agreed bound. */
  put({ layout }: RamBlock, pfn: number, content: Uint8Array | undefined): void {
    const { slots, zeros } = this.of(layout.index);
    if (!slots.has(pfn) && !zeros.has(pfn)) this.count();
    if (content === undefined) {
      zeros.add(pfn);
      return;
    }
    zeros.delete(pfn);
    // A page that came before keeps its place, also when it was zeros in between.
    const slot = slots.get(pfn) ?? this.usedSlots++;
    slots.set(pfn, slot);
    this.place(slot).set(content);
  }

  /** Gives every page once, in no order; then nothing is left. */
  drain(take: (block: RamBlock, pfn: number, content: Uint8Array | undefined) => void): void {
    for (const block of this.memory.blocks) {
      const { slots, zeros } = this.of(block.layout.index);
      for (const pfn of zeros) take(block, pfn, undefined);
      for (const [pfn, slot] of slots) if (!zeros.has(pfn)) take(block, pfn, this.place(slot));
    }
    this.clear();
  }

  clear(): void {
    for (const { slots, zeros } of this.blocks) {
      slots.clear();
      zeros.clear();
    }
    this.usedSlots = 0;
    this.pages = 0;
  }

  private count(): void {
    if (this.pages >= this.pagesMax) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'A point of the journal has too many pages', {
        detail: { pagesMax: this.pagesMax },
      });
    }
    this.pages += 1;
  }

  private place(slot: number): Buffer {
    const chunk = Math.floor(slot / CHUNK_PAGES);
    this.chunks[chunk] ??= Buffer.allocUnsafeSlow(CHUNK_PAGES * PAGE_BYTES);
    const at = (slot % CHUNK_PAGES) * PAGE_BYTES;
    return (this.chunks[chunk] as Buffer).subarray(at, at + PAGE_BYTES);
  }

  private of(index: number): StagedBlock {
    // One was made for each block of this memory.
    return this.blocks[index] as StagedBlock;
  }
}
