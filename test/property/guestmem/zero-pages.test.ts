import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PFN_LIST } from '../../../src/guestmem/block/block-layout.ts';
import { emptyRuns, packBits } from '../../reference/dirty-log.ts';
import { ReferencePageSource } from '../../reference/page-source.ts';
import {
  bitsOf,
  bodyAddress,
  clearBlock,
  pageOf,
  setBits,
  testBlock,
} from '../../support/test-block.ts';
import { blockWithBits } from './block-arbitraries.ts';

describe('gatherZeros()', () => {
  test('gatherZeros() tells exactly the dirty pages of zeros, as the reference does', () => {
    fc.assert(
      fc.property(
        blockWithBits,
        fc.array(fc.integer({ min: -1, max: 4095 }), { minLength: 1, maxLength: 9 }),
        fc.boolean(),
        ({ block, bits }, places, cached) => {
          clearBlock(block);
          const { layout } = block;
          const ways = block.cache.reset(cached ? layout.pageCount + 2 : 0);
          const source = new ReferencePageSource(layout.pageCount, Math.max(ways, 2));
          setBits(block, layout.dirtyBitmap, bits);
          for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
            const at = places[pfn % places.length] ?? -1;
            if (at < 0) continue;
            pageOf(block, pfn)[at] = 1;
            source.page(pfn)[at] = 1;
          }
          const dirty = [...bits];
          const expected = source.gatherZeros(dirty);
          fc.pre(expected.result.tableBytes <= 256 * 16);
          const address = bodyAddress(block);
          const { next, ...result } = block.gatherZeros(address, 0, 256);
          expect(next).toBe(layout.pageCount);
          expect(result).toEqual(expected.result);
          const body = block.bytes.subarray(address, address + result.bodyBytes);
          expect(body.equals(expected.body)).toBe(true);
          expect(bitsOf(block, layout.dirtyBitmap)).toEqual(dirty);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('gatherZeros() goes on where a full table or its bound made it stop', () => {
    const block = testBlock(0x9001);
    const { layout } = block;
    setBits(
      block,
      layout.dirtyBitmap,
      Array.from({ length: layout.pageCount }, (_, pfn) => pfn < 4 || pfn >= 8),
    );
    for (const pfn of [1, 3]) pageOf(block, pfn)[9] = 1;
    const told: [number, number][] = [];
    for (let next = 0; next < layout.pageCount; ) {
      const frame = block.gatherZeros(bodyAddress(block), next, 2);
      told.push([frame.next, frame.zeroPages]);
      next = frame.next;
    }
    // Pages 0 and 2 fill the table; then 16 Ki pages are tested in a call, page 3 among them.
    expect(told).toEqual([
      [3, 2],
      [0x4007, 0x3fff],
      [0x8007, 0x4000],
      [0x9001, 0xffa],
    ]);
    expect(block.countDirty()).toBe(2);
  });

  test('gatherZeros() keeps the cache equal to what the destination holds', () => {
    const block = testBlock(64);
    block.cache.reset(64);
    pageOf(block, 5).fill(7);
    block.bytes.writeUInt32LE(5, PFN_LIST);
    block.gather(bodyAddress(block), 1, true, true, 1);
    pageOf(block, 5).fill(0);
    block.setDirty(packBits(Array.from({ length: 64 }, (_, pfn) => pfn === 5)));
    expect(block.gatherZeros(bodyAddress(block), 0, 4).zeroPages).toBe(1);
    pageOf(block, 5)[100] = 1;
    block.bytes.writeUInt32LE(5, PFN_LIST);
    const delta = block.gather(bodyAddress(block), 1, true, true, 2);
    // One byte of 4096 has changed since the zeros: any other base would make a longer delta.
    expect([delta.xbzrlePages, delta.xbzrleBytes]).toEqual([1, 3]);
  });
});

describe('gatherEmpty()', () => {
  test('gatherEmpty() is the reference, frame by frame, for any populated pages', () => {
    fc.assert(
      fc.property(blockWithBits, fc.integer({ min: 1, max: 9 }), ({ block, bits }, max) => {
        const { layout } = block;
        setBits(block, layout.populatedBitmap, bits);
        const source = new ReferencePageSource(layout.pageCount, 2);
        const address = bodyAddress(block);
        for (let next = 0; next < layout.pageCount; ) {
          const expected = source.gatherEmpty(bits, next, max);
          const { next: cursor, ...result } = block.gatherEmpty(address, next, max);
          expect({ ...result, tableCrc: result.tableCrc }).toEqual(expected.result);
          const body = block.bytes.subarray(address, address + result.bodyBytes);
          expect(body.equals(expected.body)).toBe(true);
          expect(cursor).toBe(expected.next);
          next = cursor;
        }
      }),
      { numRuns: 150 },
    );
  });

  test('gatherEmpty() splits a run that is longer than an entry can say', () => {
    const block = testBlock(140_000);
    const populated = Array.from({ length: 140_000 }, (_, pfn) => pfn === 70_000);
    setBits(block, block.layout.populatedBitmap, populated);
    const { next, ...result } = block.gatherEmpty(bodyAddress(block), 0, 256);
    expect(next).toBe(140_000);
    expect(result.zeroPages).toBe(139_999);
    const { runs } = emptyRuns(populated, 0, 256);
    expect(runs.map((run) => run.pages)).toEqual([65_535, 4465, 65_535, 4464]);
    expect(result.tableBytes).toBe(runs.length * 16);
  });
});
