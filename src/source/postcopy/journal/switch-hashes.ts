import type { GuestMemory, RamBlock } from '../../../guestmem/index.ts';

const HASH_BYTES = 8;

interface BlockHashes {
  readonly hashes: BigUint64Array;
  /** 1 for a page whose hash is kept. */
  readonly kept: Uint8Array;
}

/**
 * Hashes of pages as they were at the switch, of those that the journal has overwritten since: the
 * proof compares the RAM of the switch.
 */
export class SwitchHashes {
  private readonly blocks: (BlockHashes | undefined)[];

  constructor(memory: GuestMemory) {
    this.blocks = memory.blocks.map(() => undefined);
  }

  /** Before the page is overwritten. The first time counts. */
  keep(block: RamBlock, pfn: number): void {
    const { index, pageCount } = block.layout;
    const found = this.blocks[index] ?? {
      hashes: new BigUint64Array(pageCount),
      kept: new Uint8Array(pageCount),
    };
    this.blocks[index] = found;
    if (found.kept[pfn] === 1) return;
    found.kept[pfn] = 1;
    found.hashes[pfn] = block.hashOf(pfn);
  }

  has({ layout }: RamBlock, pfn: number): boolean {
    return this.blocks[layout.index]?.kept[pfn] === 1;
  }

  /** Puts those of pages [first, first + count) in their place in `list`, a hash a page. */
  putInto(list: Buffer, { layout }: RamBlock, first: number, count: number): void {
    const found = this.blocks[layout.index];
    if (found === undefined) return;
    for (let at = 0; at < count; at += 1) {
      if (found.kept[first + at] !== 1) continue;
      list.writeBigUInt64LE(found.hashes[first + at] ?? 0n, at * HASH_BYTES);
    }
  }
}
