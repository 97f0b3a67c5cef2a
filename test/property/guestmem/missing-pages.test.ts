import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReferencePageDestination } from '../../reference/page-destination.ts';
import { ReferencePageSource } from '../../reference/page-source.ts';
import { clearBlock } from '../../support/test-block.ts';
import {
  apply,
  changePages,
  changes,
  destination,
  expectSameBatch,
  expectSameState,
  gather,
  gatherMissing,
  PAGE_COUNT,
  source,
} from './page-batches.ts';

const ALL = Array.from({ length: PAGE_COUNT }, (_, pfn) => pfn);

function bitmapOf(pfns: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(PAGE_COUNT / 8);
  for (const pfn of pfns) bitmap[pfn >> 3]! |= 1 << (pfn & 7);
  return bitmap;
}

describe('pages that became missing', () => {
  test('come as the very frame of the reference, each of them, and are then what they should be', () => {
    fc.assert(
      fc.property(
        changes,
        changes,
        fc.boolean(),
        fc.constantFrom(2, 6, 42),
        (first, second, deltas, cachePages) => {
          clearBlock(source);
          clearBlock(destination);
          const ways = source.cache.reset(cachePages);
          const reference = new ReferencePageSource(PAGE_COUNT, ways);
          const expected = new ReferencePageDestination(PAGE_COUNT);
          changePages(reference, first);
          const opening = gather(ALL, true, true, 1);
          reference.gather(ALL, true, true, 1);
          const { tableBytes, tableCrc } = opening.result;
          expected.apply(opening.body, tableBytes, tableCrc);
          apply(destination, opening.body, tableBytes, tableCrc);

          const missing = changePages(reference, second);
          destination.forget(bitmapOf(missing));
          for (const pfn of missing) expected.received[pfn] = false;
          const made = gatherMissing(missing, deltas);
          expectSameBatch(made, reference.gatherMissing(missing, deltas));
          const { result } = made;
          const outcome = expected.apply(made.body, result.tableBytes, result.tableCrc, true);
          expect(outcome).toBe('ok');
          const applied = apply(destination, made.body, result.tableBytes, result.tableCrc, true);
          expect(applied).toMatchObject({ outcome, newPages: missing.length, duplicatePages: 0 });
          expectSameState(destination, expected);
          expect(destination.ram.equals(source.ram)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('stay missing when what they were is not what the delta is for', () => {
    clearBlock(source);
    clearBlock(destination);
    source.cache.reset(42);
    const reference = new ReferencePageSource(PAGE_COUNT, 42);
    changePages(reference, [{ pfn: 4, recipe: { kind: 'noise', seed: 1 }, edits: [] }] as never);
    gather([4], true, true, 1);
    source.ram[4 * 4096 + 100]! ^= 1;
    const { body, result } = gatherMissing([4], true);
    expect(result.xbzrlePages).toBe(1);
    const applied = apply(destination, body, result.tableBytes, result.tableCrc, true);
    expect(applied).toMatchObject({ outcome: 'bad-hash', errorPfn: 4 });
    expect(destination.isReceived(4)).toBe(false);
  });
});
