import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PFN_LIST } from '../../../src/guestmem/block/block-layout.ts';
import { dirtyMapAddress, type RamBlock } from '../../../src/guestmem/index.ts';
import { ReferenceOrder } from '../../reference/page-order.ts';
import { bitsOf, clearBlock, setBits, testBlock } from '../../support/test-block.ts';

const BLOCKS = [1, 63, 128, 200].map((pageCount) => testBlock(pageCount));

type Step =
  | { readonly kind: 'sync'; readonly marks: readonly number[] }
  | { readonly kind: 'take'; readonly max: number }
  | { readonly kind: 'clean'; readonly pfn: number }
  | { readonly kind: 'halve' }
  | { readonly kind: 'pass'; readonly byWeight: boolean };

// Few pages, so that some become hot.
const marks = fc.array(fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 199 })), { maxLength: 30 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: marks.map((list): Step => ({ kind: 'sync', marks: list })) },
  { weight: 4, arbitrary: fc.nat({ max: 60 }).map((max): Step => ({ kind: 'take', max })) },
  { weight: 1, arbitrary: fc.nat({ max: 199 }).map((pfn): Step => ({ kind: 'clean', pfn })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'halve' }) },
  { weight: 2, arbitrary: fc.boolean().map((byWeight): Step => ({ kind: 'pass', byWeight })) },
);

/** A block and its twin, which go through the same steps. */
class Both {
  readonly block: RamBlock;
  readonly reference: ReferenceOrder;
  readonly dirty: boolean[];
  private cursor = 0;

  constructor(block: RamBlock) {
    clearBlock(block);
    block.kernels.resetOrder();
    this.block = block;
    this.reference = new ReferenceOrder(block.layout.pageCount);
    this.dirty = new Array<boolean>(block.layout.pageCount).fill(false);
  }

  do(step: Step): void {
    const { block, reference, dirty } = this;
    if (step.kind === 'pass') {
      block.order.begin(step.byWeight);
      reference.begin(dirty, step.byWeight);
    } else if (step.kind === 'sync') this.sync(step.marks);
    else if (step.kind === 'halve') {
      block.order.halve();
      reference.halve();
    } else if (step.kind === 'clean') {
      // Somebody else has taken it.
      if (step.pfn < dirty.length) dirty[step.pfn] = false;
      setBits(block, block.layout.dirtyBitmap, dirty);
    } else {
      const expected = reference.take({ dirty }, this.cursor, step.max);
      const taken = block.order.take(this.cursor, step.max);
      expect(listOf(block, taken.count)).toEqual(expected.pfns);
      expect(taken.next).toBe(expected.next);
      this.cursor = taken.next;
    }
  }

  expectSame(): void {
    const { block, reference, dirty } = this;
    const { layout, order } = block;
    expect(order.coldest).toBe(reference.coldest);
    expect(order.pendingByBucket).toEqual(reference.pendingByBucket);
    expect(bitsOf(block, layout.dirtyBitmap)).toEqual(dirty);
    expect(bitsOf(block, layout.pendingBitmap)).toEqual(reference.pending);
    const weights = block.bytes.subarray(layout.weightMap, layout.weightMap + layout.pageCount);
    expect([...weights]).toEqual(reference.weights);
  }

  private sync(pfns: readonly number[]): void {
    const { block, reference, dirty } = this;
    const { layout } = block;
    const marked = dirty.map((_, pfn) => pfns.includes(pfn));
    const at = dirtyMapAddress(layout, 0, 1);
    block.bytes.set(
      marked.map((mark) => Number(mark)),
      at,
    );
    block.mergeRetiredLog(0, 1);
    reference.mark(marked);
    for (const [pfn, mark] of marked.entries()) if (mark) dirty[pfn] = true;
  }
}

describe('the order of a pass', () => {
  test('takeColdest(), mergeDirtyMap() and halveWeights() are the reference in any order', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...BLOCKS),
        fc.array(step, { minLength: 3, maxLength: 25 }),
        (block, steps) => {
          const both = new Both(block);
          both.do({ kind: 'pass', byWeight: true });
          for (const step of steps) {
            both.do(step);
            both.expectSame();
          }
          const written = both.reference.written.filter((bit) => bit).length;
          expect(block.order.takeWritten()).toBe(written);
          expect(block.order.takeWritten()).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a pass sends each page that was dirty at its begin once, whatever is written', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...BLOCKS),
        marks,
        fc.boolean(),
        fc.integer({ min: 1, max: 40 }),
        fc.infiniteStream(marks),
        (block, first, byWeight, max, writes) => {
          const both = new Both(block);
          both.do({ kind: 'sync', marks: first });
          const before = both.dirty.flatMap((bit, pfn) => (bit ? [pfn] : []));
          block.order.begin(byWeight);
          const sent: number[] = [];
          for (let cursor = 0; block.order.coldest !== undefined; ) {
            const taken = block.order.take(cursor, max);
            // It ends: each turn takes a page.
            expect(taken.count).toBeGreaterThan(0);
            sent.push(...listOf(block, taken.count));
            cursor = taken.next;
            both.do({ kind: 'sync', marks: writes.next().value ?? [] });
          }
          expect(sent.sort((one, other) => one - other)).toEqual(before);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('pages go coldest first, ascending within a bucket, the page written meanwhile last', () => {
    const both = new Both(BLOCKS[3]!);
    const { block } = both;
    const sync = (...list: number[]) => both.do({ kind: 'sync', marks: list });
    block.order.begin(true);
    for (let count = 0; count < 2; count += 1) sync(7);
    sync(7, 9, 50);
    sync(7, 9, 50, 8, 3);
    block.order.begin(true);
    expect(listOf(block, block.order.take(0, 2).count)).toEqual([3, 8]);
    // 50 becomes as hot as 7 is; 3 is the next pass's.
    sync(50, 3);
    sync(50);
    expect(listOf(block, block.order.take(0, 9).count)).toEqual([9, 7, 50]);
    expect(block.order.coldest).toBeUndefined();
    expect(block.isDirty(3)).toBe(true);
    expect(block.countDirty()).toBe(1);
  });

  test('marks change no weights, and move nothing, when no pass is ordered', () => {
    const both = new Both(BLOCKS[2]!);
    const { block } = both;
    block.order.begin(true);
    block.order.end();
    both.do({ kind: 'sync', marks: [1, 2, 3] });
    expect(block.bytes[block.layout.weightMap + 1]).toBe(0);
    expect(block.order.takeWritten()).toBe(0);
    expect(block.countDirty()).toBe(3);
  });
});

function listOf(block: RamBlock, count: number): number[] {
  return Array.from({ length: count }, (_, index) =>
    block.bytes.readUInt32LE(PFN_LIST + index * 4),
  );
}
