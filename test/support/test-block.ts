import { PAGE_BYTES, Random } from '../../src/base/index.ts';
import { CACHE_ENTRY_BYTES, CONTEXT } from '../../src/guestmem/block/block-layout.ts';
import { GuestMemory, type RamBlock } from '../../src/guestmem/index.ts';
import { FRAME_HEADER_BYTES } from '../../src/protocol/index.ts';

/** A guest's memory of one block; small, zeroed, and for one vCPU. */
export function testMemory(pageCount: number): { memory: GuestMemory; block: RamBlock } {
  const memory = GuestMemory.allocate([{ name: 'ram', bytes: pageCount * PAGE_BYTES }], 1);
  return { memory, block: memory.blocks[0]! };
}

export function testBlock(pageCount: number): RamBlock {
  return testMemory(pageCount).block;
}

/** As if it was allocated anew: a memory for each run of a property would be slow. */
export function clearBlock(block: RamBlock): void {
  const { layout, bytes } = block;
  const bitmapBytes = Math.ceil(layout.pageCount / 64) * 8;
  const areas: readonly [number, number][] = [
    [layout.dirtyBitmap, bitmapBytes],
    [layout.populatedBitmap, bitmapBytes],
    [layout.receivedMap, layout.pageCount],
    [layout.heatMap, layout.pageCount],
    [layout.weightMap, layout.pageCount],
    [layout.writtenBitmap, bitmapBytes],
    [layout.hashTable, layout.pageCount * 8],
    [layout.ram, layout.pageCount * PAGE_BYTES],
  ];
  for (const [start, length] of areas) bytes.fill(0, start, start + length);
}

export function pageOf(block: RamBlock, pfn: number): Buffer {
  const start = block.layout.ram + pfn * PAGE_BYTES;
  return block.bytes.subarray(start, start + PAGE_BYTES);
}

/** Address of the body in a staging slot: a frame's header goes in front of it. */
export function bodyAddress(block: RamBlock, slot = 0): number {
  return block.slotAddress(slot) + FRAME_HEADER_BYTES;
}

export function bitsOf(block: RamBlock, bitmap: number): boolean[] {
  return Array.from(
    { length: block.layout.pageCount },
    (_, pfn) => ((block.bytes[bitmap + (pfn >> 3)]! >> (pfn & 7)) & 1) === 1,
  );
}

export function setBits(block: RamBlock, bitmap: number, bits: readonly boolean[]): void {
  for (const [pfn, bit] of bits.entries()) {
    const at = bitmap + (pfn >> 3);
    const mask = 1 << (pfn & 7);
    block.bytes[at] = bit ? block.bytes[at]! | mask : block.bytes[at]! & ~mask;
  }
}

export function receivedOf(block: RamBlock): boolean[] {
  const { receivedMap, pageCount } = block.layout;
  return Array.from({ length: pageCount }, (_, pfn) => block.bytes[receivedMap + pfn] === 1);
}

export function heatOf(block: RamBlock): number[] {
  const { heatMap, pageCount } = block.layout;
  return [...block.bytes.subarray(heatMap, heatMap + pageCount)];
}

export function hashesOf(block: RamBlock): bigint[] {
  const { hashTable, pageCount } = block.layout;
  return Array.from({ length: pageCount }, (_, pfn) =>
    block.bytes.readBigUInt64LE(hashTable + pfn * 8),
  );
}

export interface CachedWay {
  readonly pfn: number;
  readonly age: number;
  readonly content: Buffer;
}

/** What the XBZRLE cache of the block holds, by way. */
export function cacheOf(block: RamBlock, ways: number): CachedWay[] {
  const { cacheData } = block.layout;
  const words = (at: number) => block.bytes.readUInt32LE(at);
  const table = words(CONTEXT + 128);
  return Array.from({ length: ways }, (_, way) => {
    const entry = table + way * CACHE_ENTRY_BYTES;
    const data = cacheData + words(entry + 8) * PAGE_BYTES;
    return {
      pfn: words(entry) - 1,
      age: words(entry + 4),
      content: block.bytes.subarray(data, data + PAGE_BYTES),
    };
  }).filter(({ pfn }) => pfn >= 0);
}

export function noise(seed: number, length: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length }, () => random.below(256));
}
