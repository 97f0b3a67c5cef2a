import type { GuestMemory, RamBlock } from '../../guestmem/index.ts';

/**
 * The pages that were missing when the guest was handed over: those alone may be asked for. A copy
 * of the dirty bitmaps at that moment, a bit a page.
 */
export class PromisedPages {
  readonly count: number;
  private readonly bitmaps: readonly Uint8Array[];

  constructor(memory: GuestMemory) {
    this.bitmaps = memory.blocks.map((block) => block.dirtyPages());
    this.count = memory.blocks.reduce((pages, block) => pages + block.countDirty(), 0);
  }

  has({ layout }: RamBlock, pfn: number): boolean {
    return (((this.bitmaps[layout.index]?.[pfn >>> 3] ?? 0) >>> (pfn & 7)) & 1) === 1;
  }

  /** Whether every page that is dirty now is one of them. */
  coverDirty(memory: GuestMemory): boolean {
    return memory.blocks.every((block) => {
      const promised = this.bitmapOf(block);
      return block.dirtyPages().every((byte, index) => (byte & ~(promised[index] ?? 0)) === 0);
    });
  }

  /** Of one block, as stretches of neighbours: the first page and the one behind the last. */
  *runsOf(block: RamBlock): Generator<readonly [number, number]> {
    const { pageCount } = block.layout;
    for (let first = 0; first < pageCount; ) {
      if (!this.has(block, first)) {
        first += 1;
        continue;
      }
      let end = first + 1;
      while (end < pageCount && this.has(block, end)) end += 1;
      yield [first, end];
      first = end;
    }
  }

  /** Of one block, with the number of its pages. */
  bitmapOf({ layout }: RamBlock): Uint8Array {
    // A bitmap was made for each block of this memory.
    return this.bitmaps[layout.index] as Uint8Array;
  }
}
