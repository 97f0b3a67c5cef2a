import fc from 'fast-check';
import { expect } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { PFN_LIST } from '../../../src/guestmem/block/block-layout.ts';
import type { GatherResult, RamBlock } from '../../../src/guestmem/index.ts';
import { ReferencePageDestination } from '../../reference/page-destination.ts';
import { type ReferenceBatch, ReferencePageSource } from '../../reference/page-source.ts';
import {
  bitsOf,
  bodyAddress,
  cacheOf,
  clearBlock,
  hashesOf,
  pageOf,
  receivedOf,
  testBlock,
} from '../../support/test-block.ts';
import { anyEdits, applyEdits, makePage, type PageRecipe, pageRecipe } from './page-arbitraries.ts';

export const PAGE_COUNT = 40;
export const source = testBlock(PAGE_COUNT);
export const destination = testBlock(PAGE_COUNT);

interface PageChange {
  readonly pfn: number;
  /** Undefined: the page keeps its content and only gets edits. */
  readonly recipe: PageRecipe | undefined;
  readonly edits: Parameters<typeof applyEdits>[1];
}

const change: fc.Arbitrary<PageChange> = fc.record({
  // Few pages, so that the same ones change again and again and share sets of the cache.
  pfn: fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: PAGE_COUNT - 1 })),
  recipe: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { arbitrary: pageRecipe, weight: 2 },
  ),
  edits: anyEdits,
});
export const changes = fc.array(change, { minLength: 1, maxLength: 14 });

/** How a batch is gathered; `ages`: syncs since the one before. */
export const gatherMode = {
  encode: fc.boolean(),
  keep: fc.boolean(),
  ages: fc.nat({ max: 2 }),
};

export const ALL_PAGES: readonly number[] = Array.from({ length: PAGE_COUNT }, (_, pfn) => pfn);

/** The destination takes a frame of the source, when there is one. */
export function deliver({ body, result }: ReturnType<typeof gather>): void {
  if (body.length === 0) return;
  const applied = apply(destination, body, result.tableBytes, result.tableCrc);
  expect(applied.outcome).toBe('ok');
}

/** Writes the changes into both sources; returns the pages that are dirty now, ascending. */
export function changePages(reference: ReferencePageSource, list: readonly PageChange[]): number[] {
  for (const { pfn, recipe, edits } of list) {
    const page = reference.page(pfn);
    if (recipe !== undefined) page.set(makePage(recipe));
    applyEdits(page, edits);
    pageOf(source, pfn).set(page);
  }
  return [...new Set(list.map(({ pfn }) => pfn))].sort((first, second) => first - second);
}

export function gather(
  pfns: readonly number[],
  encode: boolean,
  keep: boolean,
  age: number,
  primeBucket = 0,
  keepOthers = false,
  shortest = false,
): { readonly body: Buffer; readonly result: GatherResult } {
  for (const [index, pfn] of pfns.entries()) source.bytes.writeUInt32LE(pfn, PFN_LIST + index * 4);
  const address = bodyAddress(source);
  const how = [encode, keep, age, primeBucket, keepOthers, shortest] as const;
  const result = source.gather(address, pfns.length, ...how);
  return { body: source.bytes.subarray(address, address + result.bodyBytes), result };
}

/** Far from everything else in the memory of the source. */
const LZ4_TABLE = bodyAddress(source, 3);

/** The kernel's encoder, in the memory of the source. */
export function lz4InKernel(bytes: Uint8Array, limitBytes: number): Uint8Array | undefined {
  const from = LZ4_TABLE + PAGE_BYTES;
  const to = from + 2 * PAGE_BYTES;
  source.bytes.set(bytes, from);
  const length = source.kernels.lz4Encode(from, bytes.length, to, limitBytes, LZ4_TABLE);
  return length === 0 ? undefined : Uint8Array.from(source.bytes.subarray(to, to + length));
}

export function gatherMissing(pfns: readonly number[], deltas: boolean): ReturnType<typeof gather> {
  for (const [index, pfn] of pfns.entries()) source.bytes.writeUInt32LE(pfn, PFN_LIST + index * 4);
  const address = bodyAddress(source);
  const result = source.gatherMissing(address, pfns.length, deltas);
  return { body: source.bytes.subarray(address, address + result.bodyBytes), result };
}

export function expectSameBatch(actual: ReturnType<typeof gather>, expected: ReferenceBatch): void {
  expect(actual.result).toEqual(expected.result);
  expect(actual.body.equals(expected.body)).toBe(true);
}

export function apply(
  block: RamBlock,
  body: Uint8Array,
  checkedBytes: number,
  checkedCrc: number,
  keepReceived = false,
) {
  const address = bodyAddress(block);
  block.bytes.set(body, address);
  return block.apply(address, body.length, checkedBytes, checkedCrc, keepReceived);
}

/**
 * A batch of the reference: some pages of `list`, the second time as deltas where they are cached.
 */
export function makeBatch(
  first: readonly PageChange[],
  second: readonly PageChange[],
): readonly [ReferenceBatch, ReferenceBatch] {
  const reference = new ReferencePageSource(PAGE_COUNT, 64);
  changePages(reference, first);
  const opening = reference.gather(ALL_PAGES, true, true, 1);
  return [opening, reference.gather(changePages(reference, second), true, true, 2)];
}

export function expectSameState(block: RamBlock, expected: ReferencePageDestination): void {
  expect(block.ram.equals(expected.ram)).toBe(true);
  expect(receivedOf(block)).toEqual(expected.received);
  expect(hashesOf(block)).toEqual(expected.hashes);
  expect(bitsOf(block, block.layout.populatedBitmap)).toEqual(expected.populated);
}

interface Started extends ReferenceBatch {
  /** In the same state as the block. */
  readonly expected: ReferencePageDestination;
}

/** Both destinations have applied `first`; the batch is what `second` makes of it. */
export function startWith(first: readonly PageChange[], second: readonly PageChange[]): Started {
  clearBlock(destination);
  const [opening, next] = makeBatch(first, second);
  const { tableBytes, tableCrc } = opening.result;
  const expected = new ReferencePageDestination(PAGE_COUNT);
  expect(expected.apply(opening.body, tableBytes, tableCrc)).toBe('ok');
  expect(apply(destination, opening.body, tableBytes, tableCrc).outcome).toBe('ok');
  fc.pre(next.body.length > 0);
  return { ...next, expected };
}

export function expectSameOutcome(
  expected: ReferencePageDestination,
  body: Uint8Array,
  checkedBytes: number,
): void {
  const crc = crcInKernel(body.subarray(body.length - checkedBytes));
  const before = Buffer.from(destination.ram);
  const outcome = expected.apply(body, checkedBytes, crc);
  expect(apply(destination, body, checkedBytes, crc).outcome).toBe(outcome);
  expect(destination.ram.equals(expected.ram)).toBe(true);
  if (outcome === 'bad-table') expect(destination.ram.equals(before)).toBe(true);
}

export function crcInKernel(bytes: Uint8Array): number {
  const at = bodyAddress(source, 3);
  source.bytes.set(bytes, at);
  return source.kernels.crc32c(at, bytes.length) >>> 0;
}

export function expectSameCache(ways: number, reference: ReferencePageSource): void {
  const actual = cacheOf(source, ways);
  const expected = reference.cache.pages;
  expect(actual.map(({ pfn, age }) => [pfn, age])).toEqual(
    expected.map(({ pfn, age }) => [pfn, age]),
  );
  expect(actual.every(({ content }, way) => content.equals(expected[way]!.content))).toBe(true);
}

/** The invariant on which deltas stand. */
export function expectCacheHeldByDestination(ways: number): void {
  for (const { pfn, content } of cacheOf(source, ways)) {
    expect(content.equals(pageOf(destination, pfn))).toBe(true);
  }
}
