import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PFN_LIST, RESULTS } from '../../../src/guestmem/block-layout.ts';
import { dirtyMapAddress } from '../../../src/guestmem/index.ts';
import { emptyRuns, mergeDirtyMap, takeDirty } from '../../reference/dirty-log.ts';
import { ReferencePageSource } from '../../reference/page-source.ts';
import { bitsOf, bodyAddress, clearBlock, setBits, testBlock } from '../../support/test-block.ts';

/** Not multiples of 64, the kernels' step, except for one. */
const BLOCKS = [1, 63, 128, 200, 321].map((pageCount) => testBlock(pageCount));

/** A block and as many bits as it has pages: runs of equal bits, as dirty pages come. */
const blockWithBits = fc.constantFrom(...BLOCKS).chain((block) =>
  fc.record({
    block: fc.constant(block),
    bits: patternOf(block.layout.pageCount),
    otherBits: patternOf(block.layout.pageCount),
  }),
);

function patternOf(length: number): fc.Arbitrary<boolean[]> {
  const run = fc.record({ bit: fc.boolean(), length: fc.integer({ min: 1, max: 90 }) });
  const scattered = fc.array(fc.boolean(), { minLength: length, maxLength: length });
  const runs = fc.array(run, { minLength: 1, maxLength: 12 }).map((list) => {
    const bits = list.flatMap((item) => Array.from({ length: item.length }, () => item.bit));
    return Array.from({ length }, (_, index) => bits[index] ?? false);
  });
  return fc.oneof(scattered, runs);
}

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
          const expected = { dirty: [...otherBits], populated: [...otherBits] };
          const added = mergeDirtyMap(expected, Uint8Array.from(marks));
          expect(block.mergeRetiredLog(log, map)).toBe(added);
          expect(bitsOf(block, layout.dirtyBitmap)).toEqual(expected.dirty);
          expect(bitsOf(block, layout.populatedBitmap)).toEqual(expected.populated);
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
          const count = kernels.takeDirty(from, to, max);
          expect(listOf(block.bytes, count)).toEqual(expected.pfns);
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

describe('countBits() and dirtyAllPopulated()', () => {
  test('dirtyAllPopulated() makes exactly the populated pages dirty and counts them', () => {
    fc.assert(
      fc.property(blockWithBits, ({ block, bits, otherBits }) => {
        const { layout, kernels } = block;
        setBits(block, layout.populatedBitmap, bits);
        setBits(block, layout.dirtyBitmap, otherBits);
        const count = bits.filter((bit) => bit).length;
        expect(kernels.dirtyAllPopulated()).toBe(count);
        expect(kernels.countBits(layout.populatedBitmap)).toBe(count);
        expect(bitsOf(block, layout.dirtyBitmap)).toEqual(bits);
      }),
      { numRuns: 60 },
    );
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

function listOf(bytes: Buffer, count: number): number[] {
  return Array.from({ length: count }, (_, index) => bytes.readUInt32LE(PFN_LIST + index * 4));
}

function cursorOf(bytes: Buffer): number {
  return bytes.readUInt32LE(RESULTS);
}
