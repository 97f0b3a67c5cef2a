import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { PFN_LIST } from '../../../src/guestmem/block/block-layout.ts';
import {
  SLOT_BYTES,
  SLOT_COUNT,
  URGENT_SLOT_BYTES,
  URGENT_SLOT_COUNT,
} from '../../../src/guestmem/index.ts';
import { bodyAddress, cacheOf, pageOf, testBlock } from '../../support/test-block.ts';

function cachePages(block: ReturnType<typeof testBlock>, pfns: readonly number[]): void {
  for (const [index, pfn] of pfns.entries()) {
    pageOf(block, pfn).fill(pfn + 1);
    block.bytes.writeUInt32LE(pfn, PFN_LIST + index * 4);
  }
  block.gather(bodyAddress(block), pfns.length, true, true, 1);
}

describe('RamBlock', () => {
  test.each([
    [0, 0],
    [1, 0],
    [2, 2],
    [7, 6],
    [32, 32],
    [1e9, 34],
  ])('cache.reset() asked for %i pages holds %i', (wanted, held) => {
    expect(testBlock(32).cache.reset(wanted)).toBe(held);
  });

  test('cache.reset() forgets every page', () => {
    const block = testBlock(32);
    block.cache.reset(8);
    cachePages(block, [1, 2, 3]);
    expect(cacheOf(block, 8).map(({ pfn }) => pfn)).toEqual([1, 2, 3]);
    expect(block.cache.reset(8)).toBe(8);
    expect(cacheOf(block, 8)).toEqual([]);
    expect(block.cache.reset(4)).toBe(4);
    cachePages(block, [1]);
    expect(cacheOf(block, 4).map(({ pfn }) => pfn)).toEqual([1]);
  });

  test('cache.reset() of the largest size still lies in the memory', () => {
    const block = testBlock(33);
    const held = block.cache.reset(1e9);
    // The last set, and in it the second way: the end of the cache.
    cachePages(
      block,
      Array.from({ length: 33 }, (_, pfn) => pfn),
    );
    expect(held).toBe(34);
    expect(cacheOf(block, held)).toHaveLength(33);
  });

  test('slot() gives areas that do not overlap', () => {
    const block = testBlock(4);
    for (let index = 0; index < SLOT_COUNT; index += 1) block.slot(index).fill(index + 1);
    for (let index = 0; index < SLOT_COUNT; index += 1) {
      expect(block.slot(index)).toHaveLength(SLOT_BYTES);
      expect(block.slot(index).every((byte) => byte === index + 1)).toBe(true);
    }
    expect(block.ram.every((byte) => byte === 0)).toBe(true);
  });

  test('urgentSlot() gives areas of the last slot that do not overlap', () => {
    const block = testBlock(4);
    for (let index = 0; index < URGENT_SLOT_COUNT; index += 1) block.urgentSlot(index).fill(index);
    const last = block.slot(SLOT_COUNT - 1);
    for (let index = 0; index < URGENT_SLOT_COUNT; index += 1) {
      const slot = block.urgentSlot(index);
      expect(slot).toHaveLength(URGENT_SLOT_BYTES);
      expect(slot.every((byte) => byte === index)).toBe(true);
      expect(block.urgentSlotAddress(index) - block.slotAddress(SLOT_COUNT - 1)).toBe(
        slot.byteOffset - last.byteOffset,
      );
    }
    expect(last.subarray(URGENT_SLOT_COUNT * URGENT_SLOT_BYTES).every((byte) => byte === 0)).toBe(
      true,
    );
    expect(block.slot(2).every((byte) => byte === 0)).toBe(true);
  });

  test('an urgent slot holds the frame of a page', () => {
    const block = testBlock(4);
    pageOf(block, 2).fill(7);
    block.bytes.writeUInt32LE(2, PFN_LIST);
    const address = block.urgentSlotAddress(3) + 32;
    expect(block.gather(address, 1, false, false, 1).bodyBytes).toBe(PAGE_BYTES + 16);
  });

  test('ram is exactly the pages of the block', () => {
    const block = testBlock(5);
    expect(block.ram).toHaveLength(5 * PAGE_BYTES);
    pageOf(block, 4)[PAGE_BYTES - 1] = 9;
    expect(block.ram.at(-1)).toBe(9);
  });
});
