import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReferenceGhosts } from '../../reference/ghost-cache.ts';
import { ReferencePageSource } from '../../reference/page-source.ts';
import { cacheOf, clearBlock, pageOf, setBits, testBlock } from '../../support/test-block.ts';
import {
  ALL_PAGES,
  changePages,
  changes,
  deliver,
  destination,
  expectCacheHeldByDestination,
  expectSameBatch,
  expectSameCache,
  gather,
  gatherMode,
  PAGE_COUNT,
  source,
} from './page-batches.ts';

const cacheSize = fc.constantFrom(0, 1, 2, 3, 4, 6, 16, 42, 1000);
const ways = fc.constantFrom<1 | 2>(1, 2);
const round = fc.record({
  list: changes,
  ...gatherMode,
  primeBucket: fc.nat({ max: 3 }),
  keepOthers: fc.boolean(),
  resize: fc.option(cacheSize, { nil: undefined }),
});
const WEIGHTS = [0, 1, 2, 4, 0, 255];

function begin(pages: number, setWays: 1 | 2): ReferencePageSource {
  clearBlock(source);
  const capacity = source.cache.reset(pages, setWays);
  const reference = new ReferencePageSource(PAGE_COUNT, capacity, setWays);
  // The pages that change most share all weights.
  for (let pfn = 0; pfn < PAGE_COUNT; pfn += 1) {
    const weight = WEIGHTS[pfn % WEIGHTS.length]!;
    source.bytes[source.layout.weightMap + pfn] = weight;
    reference.buckets[pfn] = weight === 0 ? 0 : weight.toString(2).length;
  }
  return reference;
}

describe('BlockCache', () => {
  test('is the reference in any shape, primed and resized between batches', () => {
    fc.assert(
      fc.property(
        fc.array(round, { minLength: 1, maxLength: 8 }),
        cacheSize,
        ways,
        (rounds, pages, setWays) => {
          const reference = begin(pages, setWays);
          let age = 1;
          for (const { list, encode, keep, ages, primeBucket, keepOthers, resize } of rounds) {
            age += ages;
            if (resize !== undefined) {
              const capacity = source.cache.resize(resize);
              reference.cache.resize(capacity);
              reference.ghosts = new ReferenceGhosts(capacity, setWays, PAGE_COUNT + 2);
            }
            const pfns = changePages(reference, list);
            // Without a place for a page nothing is looked up, or kept.
            const isThere = source.cache.capacityPages > 0;
            const prime = [isThere ? primeBucket : 0, isThere && keepOthers] as const;
            const mode = [encode && isThere, keep, age, ...prime] as const;
            expectSameBatch(gather(pfns, ...mode), reference.gather(pfns, ...mode));
            expectSameCache(source.cache.capacityPages, reference);
            expect(source.cache.heldPages).toBe(reference.cache.pages.length);
            const ghosts = source.cache.ghosts();
            if (isThere) expect(ghosts.map(({ hits }) => hits)).toEqual(reference.ghosts.hits);
            for (const { lookups } of ghosts) expect(lookups).toBe(reference.ghosts.lookups);
            const isDirty = Array.from({ length: PAGE_COUNT }, (_, pfn) => pfns.includes(pfn));
            setBits(source, source.layout.dirtyBitmap, isDirty);
            // A page that is kept without a lookup may be held twice here.
            const held = new Set(reference.cache.pages.map(({ pfn }) => pfn));
            const dirtyPages = isDirty.filter(Boolean).length;
            const cached = isDirty.filter((dirty, pfn) => dirty && held.has(pfn)).length;
            const expected = { dirtyPages, looked: dirtyPages, cached };
            expect(source.cache.sampleDirty(PAGE_COUNT)).toEqual(expected);
            source.clearDirty();
          }
        },
      ),
      { numRuns: 250 },
    );
  });

  test('holds what the destination holds, primed, resized and direct-mapped', () => {
    const sizes = fc.constantFrom(2, 3, 6, 17, 42);
    const rounds = fc.array(fc.tuple(changes, fc.option(sizes, { nil: undefined })), {
      minLength: 2,
      maxLength: 8,
    });
    fc.assert(
      fc.property(
        rounds,
        sizes,
        ways,
        fc.nat({ max: 2 }),
        fc.boolean(),
        (list, pages, setWays, primeBucket, keepOthers) => {
          const reference = begin(pages, setWays);
          clearBlock(destination);
          for (const [index, [changed, resize]] of list.entries()) {
            const pfns = changePages(reference, changed);
            if (resize !== undefined) source.cache.resize(resize);
            deliver(
              index === 0
                ? gather(ALL_PAGES, false, true, 2, primeBucket, keepOthers)
                : gather(pfns, true, true, index + 2),
            );
            expectCacheHeldByDestination(source.cache.capacityPages);
          }
          expect(destination.ram.equals(source.ram)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('resize() keeps every page when it grows, and copies none', () => {
    const block = testBlock(64);
    block.cache.reset(16);
    fill(block, 16);
    const before = cacheOf(block, 16);
    expect(before).toHaveLength(16);
    expect(block.cache.resize(64)).toBe(64);
    const after = cacheOf(block, 64);
    const byPage = (list: typeof after) =>
      list
        .map(({ pfn, age, content }) => [pfn, age, content.byteOffset] as const)
        .sort(([one], [other]) => one - other);
    expect(byPage(after)).toEqual(byPage(before));
  });

  test('resize() keeps as many as fit, the pages used last, and uses their places again', () => {
    const block = testBlock(64);
    block.cache.reset(32, 1);
    fill(block, 32);
    // Pages 16 and up were used later.
    fill(block, 32, 16, 2);
    expect(block.cache.resize(16)).toBe(16);
    expect(cacheOf(block, 16).map(({ pfn }) => pfn)).toEqual(
      Array.from({ length: 16 }, (_, index) => 16 + index),
    );
    block.cache.resize(64);
    fill(block, 64, 0, 3);
    expect(block.cache.heldPages).toBe(64);
    expect(new Set(cacheOf(block, 64).map(({ content }) => content.byteOffset)).size).toBe(64);
  });

  test('resize() to nothing and back is an empty cache', () => {
    const block = testBlock(64);
    block.cache.reset(16);
    fill(block, 16);
    expect(block.cache.resize(0)).toBe(0);
    expect(block.cache.heldPages).toBe(0);
    expect(block.cache.resize(16)).toBe(16);
    expect(cacheOf(block, 16)).toEqual([]);
  });
});

function fill(block: ReturnType<typeof testBlock>, to: number, from = 0, age = 1): void {
  for (let pfn = from; pfn < to; pfn += 1) {
    pageOf(block, pfn).fill(pfn + 1);
    block.bytes.writeUInt32LE(pfn, 0x10000);
    block.gather(block.slotAddress(0) + 32, 1, true, true, age);
  }
}
