import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { ReferencePageSource } from '../../reference/page-source.ts';
import { cacheOf, clearBlock, noise, pageOf, receivedOf } from '../../support/test-block.ts';
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
  lz4InKernel,
  PAGE_COUNT,
  source,
} from './page-batches.ts';

describe('gather()', () => {
  test('gather() makes the very frame of the reference in any mode, over several rounds', () => {
    const mode = fc.record({ ...gatherMode, shortest: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(changes, mode), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(2, 4, 6, 16, 42),
        (rounds, cachePages) => {
          clearBlock(source);
          const ways = source.cache.reset(cachePages);
          const reference = new ReferencePageSource(PAGE_COUNT, ways);
          let age = 1;
          for (const [list, { encode, keep, ages, shortest }] of rounds) {
            age += ages;
            const pfns = changePages(reference, list);
            const lz4 = shortest ? lz4InKernel : undefined;
            const expected = reference.gather(pfns, encode, keep, age, 0, false, lz4);
            expectSameBatch(gather(pfns, encode, keep, age, 0, false, shortest), expected);
            expectSameCache(ways, reference);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test('gather() keeps cache and destination equal, and the destination gets all of RAM', () => {
    fc.assert(
      fc.property(
        fc.array(changes, { minLength: 2, maxLength: 6 }),
        fc.constantFrom(2, 6, 42),
        (rounds, cachePages) => {
          clearBlock(source);
          clearBlock(destination);
          const ways = source.cache.reset(cachePages);
          const reference = new ReferencePageSource(PAGE_COUNT, ways);
          for (const [index, list] of rounds.entries()) {
            const pfns = changePages(reference, list);
            const isFirst = index === 0;
            const isLast = index === rounds.length - 1;
            deliver(
              isFirst ? gather(ALL_PAGES, false, true, 1) : gather(pfns, true, !isLast, index + 1),
            );
            // What is sent last is sent with a cache that is only read.
            if (!isLast) expectCacheHeldByDestination(ways);
          }
          expect(destination.ram.equals(source.ram)).toBe(true);
          expect(receivedOf(destination).every((received) => received)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test.each([
    ['of a page that repeats itself, changed in many places, the page', PAGE_BYTES, 'page'],
    ['of one that has changed in its first part, the delta', 1500, 'delta'],
  ])('gather() sends the shorter of both: %s', (_, changedBytes, expected) => {
    clearBlock(source);
    clearBlock(destination);
    const ways = source.cache.reset(8);
    const page = pageOf(source, 4);
    page.set(Buffer.alloc(PAGE_BYTES, 'the arctic tern flies '));
    const after = Buffer.from(page);
    // Some words stay, never at the same distance.
    const stays = noise(7, PAGE_BYTES);
    for (let at = 0; at < changedBytes; at += 1) if (stays[at >> 3]! < 200) page[at]! ^= 1;
    for (const [round, content] of [page, after].entries()) {
      page.set(content);
      const batch = gather([4], true, true, round + 1, 0, false, true);
      const { result } = batch;
      deliver(batch);
      expectCacheHeldByDestination(ways);
      if (round === 0) expect(result.rawPages).toBe(1);
      else
        expect([result.lz4Pages, result.xbzrlePages]).toEqual(
          expected === 'page' ? [1, 0] : [0, 1],
        );
    }
  });

  test('gather() joins zero pages to runs and never reads more than it was told', () => {
    clearBlock(source);
    pageOf(source, 2).fill(9);
    const { body, result } = gather([0, 1, 2, 3, 5, 6, 7], false, false, 1);
    expect([result.zeroPages, result.rawPages, result.tableBytes]).toEqual([6, 1, 4 * 16]);
    const runs = [0, 2, 3].map((entry) => {
      const at = body.length - result.tableBytes + entry * 16;
      return [body.readUInt32LE(at), body[at + 4], body.readUInt16LE(at + 6)];
    });
    expect(runs).toEqual([
      [0, 1, 2],
      [3, 1, 1],
      [5, 1, 3],
    ]);
  });

  test('gather() makes no frame when every page is as it was sent', () => {
    clearBlock(source);
    source.cache.reset(8);
    pageOf(source, 4).fill(1);
    expect(gather([4], true, true, 1).result.rawPages).toBe(1);
    const again = gather([4], true, true, 2).result;
    expect([again.bodyBytes, again.tableBytes, again.unchangedPages]).toEqual([0, 0, 1]);
  });

  test('gather() keeps a fresh page in the cache and gives way when it is old', () => {
    clearBlock(source);
    // One set: all pages meet in it.
    source.cache.reset(2);
    for (const pfn of [1, 2, 3]) pageOf(source, pfn).fill(pfn);
    gather([1, 2], true, true, 5);
    expect(gather([3], true, true, 6).result.conflictPages).toBe(1);
    gather([2], true, true, 6);
    expect(gather([3], true, true, 7).result.conflictPages).toBe(0);
    expect(cacheOf(source, 2).map(({ pfn }) => pfn)).toEqual([3, 2]);
  });
});
