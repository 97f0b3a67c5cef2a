import { describe, expect, test } from 'vitest';
import {
  BATCH_PAGES_MAX,
  PAGE_BYTES,
  RAM_BLOCK_BYTES_MAX,
  VCPU_COUNT_MAX,
} from '../../../src/base/index.ts';
import {
  type BlockLayout,
  blockLayout,
  CACHE_ENTRY_BYTES,
  CONTEXT,
  CRC_TABLE,
  dirtyMapAddress,
  ENTRY_SCRATCH,
  KERNEL_STATE,
  ORDER_BUCKETS,
  PAGE_MAP_BYTES,
  PFN_LIST,
  RESULTS,
  SCRATCH_PAGE,
  SLOT_BYTES,
  SLOT_COUNT,
  URGENT_SLOT_BYTES,
  URGENT_SLOT_COUNT,
} from '../../../src/guestmem/block/block-layout.ts';
import { FRAME_HEADER_BYTES, PAGE_BATCH_BYTES_MAX } from '../../../src/protocol/index.ts';

const MEBIBYTE = 2 ** 20;

const SHAPES = [
  PAGE_BYTES,
  3 * PAGE_BYTES,
  65 * PAGE_BYTES,
  16 * MEBIBYTE,
  16 * MEBIBYTE + PAGE_BYTES,
  100 * MEBIBYTE,
  1024 * MEBIBYTE,
  RAM_BLOCK_BYTES_MAX - PAGE_BYTES,
  RAM_BLOCK_BYTES_MAX,
].flatMap((bytes) =>
  [1, 2, VCPU_COUNT_MAX].map((vcpuCount) => ({ bytes, vcpuCount, machineBytes: 0 })),
);
const MACHINES = SHAPES.map((shape) => ({ ...shape, machineBytes: 70 * MEBIBYTE + 1 }));

interface Shape {
  readonly bytes: number;
  readonly vcpuCount: number;
  readonly machineBytes?: number;
}

function layoutOf(shape: Shape): BlockLayout {
  return blockLayout({ name: 'ram', index: 0, firstPfn: 0, ...shape });
}

interface Area {
  readonly name: string;
  readonly start: number;
  readonly bytes: number;
}

/** Everything that somebody writes, with the bytes that it needs. */
function areasOf(layout: BlockLayout, machineBytes = 0): Area[] {
  const { pageCount, cachePagesMax, cache } = layout;
  const bitmapBytes = Math.ceil(pageCount / 64) * 8;
  const tableBytes = cachePagesMax * CACHE_ENTRY_BYTES;
  // Five of a sixteenth of at most all pages; each has a set at least.
  const ghostBytes = 5 * (Math.ceil(cachePagesMax / 16) + 2) * 8;
  const logs = Array.from({ length: layout.logCount * 2 }, (_, index) => ({
    name: `dirty map ${index}`,
    start: dirtyMapAddress(layout, index >> 1, index & 1),
    bytes: PAGE_MAP_BYTES,
  }));
  return [
    { name: 'context', start: CONTEXT, bytes: 256 },
    { name: 'results', start: RESULTS, bytes: 128 },
    { name: 'what kernels remember', start: KERNEL_STATE, bytes: 256 },
    { name: 'CRC tables', start: CRC_TABLE, bytes: 16 * 1024 },
    { name: 'scratch page', start: SCRATCH_PAGE, bytes: PAGE_BYTES },
    { name: 'page list', start: PFN_LIST, bytes: BATCH_PAGES_MAX * 4 },
    { name: 'entries', start: ENTRY_SCRATCH, bytes: BATCH_PAGES_MAX * 16 },
    { name: 'dirty bitmap', start: layout.dirtyBitmap, bytes: bitmapBytes },
    { name: 'populated bitmap', start: layout.populatedBitmap, bytes: bitmapBytes },
    { name: 'scratch bitmap', start: layout.scratchBitmap, bytes: bitmapBytes },
    { name: 'received map', start: layout.receivedMap, bytes: PAGE_MAP_BYTES },
    { name: 'heat', start: layout.heatMap, bytes: Math.ceil(pageCount / 64) * 64 },
    { name: 'hash table', start: layout.hashTable, bytes: pageCount * 8 },
    ...logs,
    { name: 'weights', start: layout.weightMap, bytes: Math.ceil(pageCount / 64) * 64 },
    { name: 'pending bitmap', start: layout.pendingBitmap, bytes: layout.orderBitmapBytes },
    { name: 'written bitmap', start: layout.writtenBitmap, bytes: layout.orderBitmapBytes },
    {
      name: 'buckets',
      start: layout.bucketBitmaps,
      bytes: ORDER_BUCKETS * layout.orderBitmapBytes,
    },
    { name: 'slots', start: layout.slots, bytes: SLOT_COUNT * SLOT_BYTES },
    { name: 'RAM', start: layout.ram, bytes: pageCount * PAGE_BYTES },
    { name: 'cache table', start: cache, bytes: tableBytes },
    { name: 'other cache table', start: cache + layout.cacheTableBytes, bytes: tableBytes },
    { name: 'free places of the cache', start: layout.cacheFree, bytes: cachePagesMax * 4 },
    { name: 'ghosts', start: layout.cacheGhosts, bytes: ghostBytes },
    { name: 'cached pages', start: layout.cacheData, bytes: cachePagesMax * PAGE_BYTES },
    { name: 'machine', start: layout.machineArea, bytes: machineBytes },
    { name: 'end', start: layout.memoryBytes, bytes: 0 },
  ];
}

describe('blockLayout()', () => {
  test.each([...SHAPES, ...MACHINES])('blockLayout() keeps all areas apart for %o', (shape) => {
    const areas = areasOf(layoutOf(shape), shape.machineBytes);
    const overlaps = areas.slice(1).flatMap((area, index) => {
      const before = areas[index]!;
      return before.start + before.bytes > area.start ? [`${before.name}, ${area.name}`] : [];
    });
    expect(overlaps).toEqual([]);
  });

  test.each([...SHAPES, ...MACHINES])(
    'blockLayout() fits one WebAssembly memory for %o',
    (shape) => {
      const layout = layoutOf(shape);
      expect(layout.memoryBytes).toBeLessThanOrEqual(2 ** 32);
      expect(layout.memoryBytes % 2 ** 16).toBe(0);
      expect(layout.pageCount).toBe(shape.bytes / PAGE_BYTES);
      expect(layout.logCount).toBe(shape.vcpuCount + 1);
    },
  );

  test.each(SHAPES)('blockLayout() aligns what kernels read in words for %o', (shape) => {
    const layout = layoutOf(shape);
    const addresses = [
      layout.dirtyBitmap,
      layout.populatedBitmap,
      layout.scratchBitmap,
      layout.receivedMap,
      layout.heatMap,
      layout.hashTable,
      layout.weightMap,
      layout.pendingBitmap,
      layout.writtenBitmap,
      layout.bucketBitmaps,
      layout.ram,
      layout.cache,
      layout.cacheData,
      layout.slots,
      layout.machineArea,
    ];
    expect(addresses.filter((address) => address % PAGE_BYTES !== 0)).toEqual([]);
  });

  test('blockLayout() leaves room for a cache of all pages, or of what the memory holds', () => {
    const small = layoutOf({ bytes: 16 * MEBIBYTE, vcpuCount: 1 });
    expect(small.cachePagesMax).toBeGreaterThanOrEqual(small.pageCount);
    const largest = layoutOf({ bytes: RAM_BLOCK_BYTES_MAX, vcpuCount: VCPU_COUNT_MAX });
    expect(largest.cachePagesMax * PAGE_BYTES).toBeGreaterThan(1.9 * 2 ** 30);
  });

  test('blockLayout() refuses a size that is no block', () => {
    for (const bytes of [0, PAGE_BYTES - 1, PAGE_BYTES + 1, RAM_BLOCK_BYTES_MAX + PAGE_BYTES]) {
      expect(() => layoutOf({ bytes, vcpuCount: 1 })).toThrow('RAM block');
    }
  });

  test('urgent slots fit into a staging slot, and a page with its frame into each', () => {
    expect(URGENT_SLOT_COUNT).toBeGreaterThanOrEqual(64);
    expect(URGENT_SLOT_COUNT * URGENT_SLOT_BYTES).toBeLessThanOrEqual(SLOT_BYTES);
    expect(URGENT_SLOT_BYTES).toBeGreaterThanOrEqual(2 * FRAME_HEADER_BYTES + PAGE_BYTES + 16);
    expect(URGENT_SLOT_BYTES % 8).toBe(0);
  });

  test('a slot holds the longest frame and the header behind it', () => {
    const needed = FRAME_HEADER_BYTES + PAGE_BATCH_BYTES_MAX + FRAME_HEADER_BYTES;
    expect(SLOT_BYTES).toBeGreaterThanOrEqual(needed);
    expect(SLOT_BYTES % 8).toBe(0);
  });
});
