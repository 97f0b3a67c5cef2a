import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PFN_LIST, RESULTS } from '../../../src/guestmem/block/block-layout.ts';
import { dirtyMapAddress } from '../../../src/guestmem/index.ts';
import {
  mergeDirtyMap,
  packBits,
  takeDirty,
  takeDirtyDown,
  takeHottest,
} from '../../reference/dirty-log.ts';
import {
  bitsOf,
  clearBlock,
  heatOf,
  receivedOf,
  setBits,
  testBlock,
} from '../../support/test-block.ts';
import { blockWithBits } from './block-arbitraries.ts';

describe('mergeDirtyMap()', () => {
  test('mergeDirtyMap() is the reference for any marks over any bitmap', () => {
    fc.assert(
      fc.property(
        blockWithBits,
        fc.nat({ max: 1 }),
        fc.nat({ max: 1 }),
        ({ block, bits, otherBits }, log, map) => {
          clearBlock(block);
          const { layout } = block;
          setBits(block, layout.dirtyBitmap, otherBits);
          setBits(block, layout.populatedBitmap, otherBits);
          const at = dirtyMapAddress(layout, log, map);
          const marks = block.bytes.subarray(at, at + layout.pageCount);
          // Any value that is not zero is a mark.
          marks.set(bits.map((bit, pfn) => (bit ? (pfn % 255) + 1 : 0)));
          const heat = bits.map((_, pfn) => [0, 1, 254, 255][pfn % 4] ?? 0);
          block.bytes.set(heat, layout.heatMap);
          const expected = { dirty: [...otherBits], populated: [...otherBits], heat };
          const added = mergeDirtyMap(expected, Uint8Array.from(marks));
          expect(block.mergeRetiredLog(log, map)).toBe(added);
          expect(bitsOf(block, layout.dirtyBitmap)).toEqual(expected.dirty);
          expect(bitsOf(block, layout.populatedBitmap)).toEqual(expected.populated);
          expect(heatOf(block)).toEqual(expected.heat);
          expect(marks.every((mark) => mark === 0)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('mergeDirtyMap() leaves the other maps alone', () => {
    const block = testBlock(70);
    const maps = [0, 1].flatMap((log) =>
      [0, 1].map((map) => dirtyMapAddress(block.layout, log, map)),
    );
    for (const [index, at] of maps.entries()) block.bytes[at + index] = 1;
    block.mergeRetiredLog(0, 1);
    const marks = maps.map((at, index) => block.bytes[at + index]);
    expect(marks).toEqual([1, 0, 1, 1]);
  });
});

describe('takeDirty()', () => {
  test('takeDirty() is the reference for any bitmap, range and limit', () => {
    fc.assert(
      fc.property(
        blockWithBits,
        fc.nat({ max: 330 }),
        fc.nat({ max: 330 }),
        fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 256 })),
        ({ block, bits }, start, end, max) => {
          const { layout, kernels } = block;
          const to = end % (layout.pageCount + 1);
          const from = start % (to + 1);
          setBits(block, layout.dirtyBitmap, bits);
          const dirty = [...bits];
          const expected = takeDirty(dirty, from, to, max);
          const offset = max % 7;
          const count = kernels.takeDirty(from, to, max, offset);
          expect(listOf(block.bytes, count, offset)).toEqual(expected.pfns);
          expect(bitsOf(block, layout.dirtyBitmap)).toEqual(dirty);
          expect(cursorOf(block.bytes)).toBe(expected.next);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('takeDirty() gives every dirty page once, ascending, called until the end', () => {
    fc.assert(
      fc.property(blockWithBits, fc.integer({ min: 1, max: 70 }), ({ block, bits }, max) => {
        const { layout } = block;
        setBits(block, layout.dirtyBitmap, bits);
        const taken: number[] = [];
        for (let next = 0; next < layout.pageCount; ) {
          const batch = block.takeDirty(next, max);
          taken.push(...listOf(block.bytes, batch.count));
          next = batch.next;
        }
        expect(taken).toEqual(bits.flatMap((bit, pfn) => (bit ? [pfn] : [])));
        expect(bitsOf(block, layout.dirtyBitmap).includes(true)).toBe(false);
      }),
      { numRuns: 100 },
    );
  });
});

describe('takeDirtyDown() and takeHottest()', () => {
  test('takeDirtyDown() is the reference for any bitmap, range and limit', () => {
    fc.assert(
      fc.property(
        blockWithBits,
        fc.nat({ max: 330 }),
        fc.nat({ max: 330 }),
        fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 250 })),
        ({ block, bits }, start, end, max) => {
          const { layout } = block;
          const from = start % (layout.pageCount + 1);
          const downTo = end % (from + 1);
          setBits(block, layout.dirtyBitmap, bits);
          const dirty = [...bits];
          const expected = takeDirtyDown(dirty, from, downTo, max);
          const { count, next } = block.takeDirtyDown(from, downTo, max, 3);
          expect(listOf(block.bytes, count, 3)).toEqual(expected.pfns);
          expect(bitsOf(block, layout.dirtyBitmap)).toEqual(dirty);
          // Pages between the two have no mark: either is a place to go on.
          expect(dirty.slice(Math.min(next, expected.next), Math.max(next, expected.next))).toEqual(
            Array.from({ length: Math.abs(next - expected.next) }, () => false),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('takeDirty() and takeDirtyDown() together take what lies around a page', () => {
    const block = testBlock(200);
    setBits(
      block,
      block.layout.dirtyBitmap,
      Array.from({ length: 200 }, (_, pfn) => pfn % 2 === 0),
    );
    const above = block.takeDirty(100, 200, 3);
    const below = block.takeDirtyDown(100, 0, 3, above.count);
    expect(listOf(block.bytes, 6)).toEqual([100, 102, 104, 98, 96, 94]);
    expect(block.takeDirtyDown(below.next, 0, 1)).toEqual({ count: 1, next: 92 });
    expect(block.countDirty()).toBe(93);
  });

  test('takeHottest() is the reference for any heat, level and limit', () => {
    fc.assert(
      fc.property(
        blockWithBits,
        fc.array(fc.nat({ max: 255 }), { minLength: 321, maxLength: 321 }),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: 70 }),
        ({ block, bits }, heats, level, max) => {
          const { layout } = block;
          setBits(block, layout.dirtyBitmap, bits);
          const heat = heats.slice(0, layout.pageCount);
          block.bytes.set(heat, layout.heatMap);
          const expected = { dirty: [...bits], populated: [], heat };
          for (let next = 0; next < layout.pageCount; ) {
            const pfns = takeHottest(expected, level, next, max);
            const taken = block.takeHottest(level, next, max, 2);
            expect(listOf(block.bytes, taken.count, 2)).toEqual(pfns);
            expect(taken.next).toBeGreaterThan(next);
            next = taken.next;
          }
          expect(bitsOf(block, layout.dirtyBitmap)).toEqual(expected.dirty);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('bitmaps that cross', () => {
  test('receivedBitmap() and dirtyPages() are the maps, a bit a page', () => {
    fc.assert(
      fc.property(blockWithBits, ({ block, bits, otherBits }) => {
        const { layout, bytes } = block;
        bytes.set(
          bits.map((bit) => Number(bit)),
          layout.receivedMap,
        );
        setBits(block, layout.dirtyBitmap, otherBits);
        expect([...block.receivedBitmap()]).toEqual([...packBits(bits)]);
        expect(block.missingPages()).toBe(bits.filter((bit) => !bit).length);
        expect([...block.dirtyPages()]).toEqual([...packBits(otherBits)]);
        expect(block.countDirty()).toBe(otherBits.filter((bit) => bit).length);
      }),
      { numRuns: 60 },
    );
  });

  test('setDirty() overwrites, without pages that do not exist', () => {
    fc.assert(
      fc.property(blockWithBits, ({ block, bits, otherBits }) => {
        const { layout } = block;
        setBits(block, layout.dirtyBitmap, otherBits);
        const bitmap = packBits(bits);
        if (bits.length % 8 !== 0) bitmap[bitmap.length - 1]! |= 0xff << (bits.length % 8);
        block.setDirty(bitmap);
        expect(bitsOf(block, layout.dirtyBitmap)).toEqual(bits);
        expect(block.countDirty()).toBe(bits.filter((bit) => bit).length);
      }),
      { numRuns: 60 },
    );
  });

  test('forget() makes exactly those pages missing and counts the ones that had come', () => {
    fc.assert(
      fc.property(blockWithBits, ({ block, bits, otherBits }) => {
        const { layout, bytes } = block;
        bytes.set(
          otherBits.map((bit) => Number(bit)),
          layout.receivedMap,
        );
        const bitmap = packBits(bits);
        if (bits.length % 8 !== 0) bitmap[bitmap.length - 1]! |= 0xff << (bits.length % 8);
        const behind = bytes.subarray(layout.receivedMap + layout.pageCount, layout.heatMap);
        behind.fill(0);
        expect(block.forget(bitmap)).toBe(bits.filter((bit, pfn) => bit && otherBits[pfn]).length);
        expect(receivedOf(block)).toEqual(otherBits.map((bit, pfn) => bit && !bits[pfn]));
        expect(behind.every((mark) => mark === 0)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test.each([-1, 1, 8])('setDirty() and forget() refuse a bitmap that is %i bytes off', (more) => {
    const block = testBlock(200);
    const bitmap = new Uint8Array(25 + more);
    const refused = expect.objectContaining({ code: 'E_PROTOCOL_BAD_BODY' });
    expect(() => block.setDirty(bitmap)).toThrow(refused);
    expect(() => block.forget(bitmap)).toThrow(refused);
  });
});

describe('countBits() and dirtyAllPopulated()', () => {
  test('dirtyAllPopulated() makes exactly the populated pages dirty and counts them', () => {
    fc.assert(
      fc.property(blockWithBits, ({ block, bits, otherBits }) => {
        const { layout, kernels } = block;
        setBits(block, layout.populatedBitmap, bits);
        setBits(block, layout.dirtyBitmap, otherBits);
        const count = bits.filter((bit) => bit).length;
        block.bytes.fill(9, layout.heatMap, layout.heatMap + layout.pageCount);
        expect(kernels.dirtyAllPopulated()).toBe(count);
        expect(heatOf(block).every((heat) => heat === 0)).toBe(true);
        expect(kernels.countBits(layout.populatedBitmap)).toBe(count);
        expect(bitsOf(block, layout.dirtyBitmap)).toEqual(bits);
      }),
      { numRuns: 60 },
    );
  });
});

function listOf(bytes: Buffer, count: number, offset = 0): number[] {
  return Array.from({ length: count }, (_, index) =>
    bytes.readUInt32LE(PFN_LIST + (offset + index) * 4),
  );
}

function cursorOf(bytes: Buffer): number {
  return bytes.readUInt32LE(RESULTS);
}
