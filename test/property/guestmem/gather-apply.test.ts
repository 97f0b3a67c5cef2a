import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { PFN_LIST } from '../../../src/guestmem/block-layout.ts';
import type { GatherResult, RamBlock } from '../../../src/guestmem/index.ts';
import { ReferencePageDestination } from '../../reference/page-destination.ts';
import { pageHash } from '../../reference/page-hash.ts';
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

const PAGE_COUNT = 40;
const source = testBlock(PAGE_COUNT);
const destination = testBlock(PAGE_COUNT);

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
const changes = fc.array(change, { minLength: 1, maxLength: 14 });

/** Writes the changes into both sources; returns the pages that are dirty now, ascending. */
function changePages(reference: ReferencePageSource, list: readonly PageChange[]): number[] {
  for (const { pfn, recipe, edits } of list) {
    const page = reference.page(pfn);
    if (recipe !== undefined) page.set(makePage(recipe));
    applyEdits(page, edits);
    pageOf(source, pfn).set(page);
  }
  return [...new Set(list.map(({ pfn }) => pfn))].sort((first, second) => first - second);
}

function gather(
  pfns: readonly number[],
  encode: boolean,
  keep: boolean,
  age: number,
): { readonly body: Buffer; readonly result: GatherResult } {
  for (const [index, pfn] of pfns.entries()) source.bytes.writeUInt32LE(pfn, PFN_LIST + index * 4);
  const address = bodyAddress(source);
  const result = source.gather(address, pfns.length, encode, keep, age);
  return { body: source.bytes.subarray(address, address + result.bodyBytes), result };
}

function expectSameBatch(actual: ReturnType<typeof gather>, expected: ReferenceBatch): void {
  expect(actual.result).toEqual(expected.result);
  expect(actual.body.equals(expected.body)).toBe(true);
}

function apply(
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
function makeBatch(
  first: readonly PageChange[],
  second: readonly PageChange[],
): readonly [ReferenceBatch, ReferenceBatch] {
  const reference = new ReferencePageSource(PAGE_COUNT, 64);
  const all = Array.from({ length: PAGE_COUNT }, (_, pfn) => pfn);
  changePages(reference, first);
  const opening = reference.gather(all, true, true, 1);
  return [opening, reference.gather(changePages(reference, second), true, true, 2)];
}

function expectSameState(block: RamBlock, expected: ReferencePageDestination): void {
  expect(block.ram.equals(expected.ram)).toBe(true);
  expect(receivedOf(block)).toEqual(expected.received);
  expect(hashesOf(block)).toEqual(expected.hashes);
  expect(bitsOf(block, block.layout.populatedBitmap)).toEqual(expected.populated);
}

describe('gather()', () => {
  test('gather() makes the very frame of the reference in any mode, over several rounds', () => {
    const mode = fc.record({ encode: fc.boolean(), keep: fc.boolean(), ages: fc.nat({ max: 2 }) });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(changes, mode), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(2, 4, 6, 16, 42),
        (rounds, cachePages) => {
          clearBlock(source);
          const ways = source.resetCache(cachePages);
          const reference = new ReferencePageSource(PAGE_COUNT, ways);
          let age = 1;
          for (const [list, { encode, keep, ages }] of rounds) {
            age += ages;
            const pfns = changePages(reference, list);
            const expected = reference.gather(pfns, encode, keep, age);
            expectSameBatch(gather(pfns, encode, keep, age), expected);
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
          const ways = source.resetCache(cachePages);
          const reference = new ReferencePageSource(PAGE_COUNT, ways);
          for (const [index, list] of rounds.entries()) {
            const pfns = changePages(reference, list);
            const isFirst = index === 0;
            const isLast = index === rounds.length - 1;
            const { body, result } = isFirst
              ? gather(
                  Array.from({ length: PAGE_COUNT }, (_, pfn) => pfn),
                  false,
                  true,
                  1,
                )
              : gather(pfns, true, !isLast, index + 1);
            if (body.length > 0) {
              const applied = apply(destination, body, result.tableBytes, result.tableCrc);
              expect(applied.outcome).toBe('ok');
            }
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
    source.resetCache(8);
    pageOf(source, 4).fill(1);
    expect(gather([4], true, true, 1).result.rawPages).toBe(1);
    const again = gather([4], true, true, 2).result;
    expect([again.bodyBytes, again.tableBytes, again.unchangedPages]).toEqual([0, 0, 1]);
  });

  test('gather() keeps a fresh page in the cache and gives way when it is old', () => {
    clearBlock(source);
    // One set: all pages meet in it.
    source.resetCache(2);
    for (const pfn of [1, 2, 3]) pageOf(source, pfn).fill(pfn);
    gather([1, 2], true, true, 5);
    expect(gather([3], true, true, 6).result.conflictPages).toBe(1);
    gather([2], true, true, 6);
    expect(gather([3], true, true, 7).result.conflictPages).toBe(0);
    expect(cacheOf(source, 2).map(({ pfn }) => pfn)).toEqual([3, 2]);
  });
});

describe('apply()', () => {
  test('apply() is the reference for any valid batches', () => {
    fc.assert(
      fc.property(changes, changes, (first, second) => {
        clearBlock(destination);
        const expected = new ReferencePageDestination(PAGE_COUNT);
        for (const { body, result } of makeBatch(first, second)) {
          if (body.length === 0) continue;
          const outcome = expected.apply(body, result.tableBytes, result.tableCrc);
          const applied = apply(destination, body, result.tableBytes, result.tableCrc);
          expect([applied.outcome, outcome]).toEqual(['ok', 'ok']);
          expect(applied.zeroPages + applied.rawPages + applied.xbzrlePages).toBe(
            result.zeroPages + result.rawPages + result.xbzrlePages,
          );
          expectSameState(destination, expected);
        }
      }),
      { numRuns: 80 },
    );
  });

  test('apply() leaves RAM untouched when any bit of the table is flipped', () => {
    fc.assert(
      fc.property(changes, changes, fc.nat(), (first, second, position) => {
        const batch = startWith(first, second);
        const body = Uint8Array.from(batch.body);
        const bit = position % (batch.result.tableBytes * 8);
        body[body.length - 1 - (bit >> 3)]! ^= 1 << (bit & 7);
        const before = Buffer.from(destination.ram);
        const applied = apply(destination, body, batch.result.tableBytes, batch.result.tableCrc);
        expect(applied.outcome).toBe('bad-crc');
        expect(destination.ram.equals(before)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  test('apply() refuses a batch when any bit of its payload is flipped', () => {
    fc.assert(
      fc.property(changes, changes, fc.nat(), (first, second, position) => {
        const { body: sent, result, expected } = startWith(first, second);
        const payloadBytes = sent.length - result.tableBytes;
        fc.pre(payloadBytes > 0);
        const body = Uint8Array.from(sent);
        const bit = position % (payloadBytes * 8);
        body[bit >> 3]! ^= 1 << (bit & 7);
        const outcome = expected.apply(body, result.tableBytes, result.tableCrc);
        const applied = apply(destination, body, result.tableBytes, result.tableCrc);
        expect(['bad-table', 'bad-delta', 'bad-hash']).toContain(applied.outcome);
        expect(applied.outcome).toBe(outcome);
        expect(destination.ram.equals(expected.ram)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  test('apply() agrees with the reference on any table with a right checksum', () => {
    const field = fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8);
    const value = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 0x0f, 0x10, 0x28, 255), fc.nat(255));
    fc.assert(
      fc.property(changes, changes, fc.nat(), field, value, (first, second, row, at, byte) => {
        const { body: sent, result, expected } = startWith(first, second);
        const body = Uint8Array.from(sent);
        const rows = result.tableBytes / 16;
        body[body.length - result.tableBytes + (row % rows) * 16 + at] = byte;
        expectSameOutcome(expected, body, result.tableBytes);
      }),
      { numRuns: 200 },
    );
  });

  test('apply() agrees with the reference on tables of any length', () => {
    fc.assert(
      fc.property(changes, changes, fc.integer({ min: -40, max: 40 }), (first, second, more) => {
        const { body, result, expected } = startWith(first, second);
        const checkedBytes = result.tableBytes + more;
        fc.pre(checkedBytes >= 0 && checkedBytes <= body.length);
        expectSameOutcome(expected, body, checkedBytes);
      }),
      { numRuns: 100 },
    );
  });

  test.each([1, 2])('apply() refuses a delta of %i bytes by its table', (length) => {
    clearBlock(destination);
    const page = pageOf(destination, 0).fill(1);
    // A raw page comes before it in the same batch, and must not be written either.
    const body = Buffer.alloc(PAGE_BYTES + 8 + 32, 0);
    body.fill(2, 0, PAGE_BYTES);
    const table = body.subarray(PAGE_BYTES + 8);
    table.writeUInt32LE(0x1000_0002, 4);
    table.writeBigUInt64LE(pageHash(body.subarray(0, PAGE_BYTES), 0), 8);
    table[20] = 3;
    table[22] = length;
    expect(apply(destination, body, 32, crcInKernel(table)).outcome).toBe('bad-table');
    expect(page.every((byte) => byte === 1)).toBe(true);
  });

  test('apply() refuses a table of more entries than a frame may have', () => {
    clearBlock(destination);
    const body = Buffer.alloc(257 * 16);
    for (let entry = 0; entry < 257; entry += 1) {
      body.writeUInt32LE(entry % PAGE_COUNT, entry * 16);
      body[entry * 16 + 4] = 1;
      body[entry * 16 + 6] = 1;
    }
    const crcOf = (bytes: Buffer) => crcInKernel(bytes);
    expect(apply(destination, body, body.length, crcOf(body)).outcome).toBe('bad-table');
    const most = body.subarray(16);
    expect(apply(destination, most, most.length, crcOf(most)).outcome).toBe('ok');
  });

  test('apply() refuses a delta for a page that never came', () => {
    clearBlock(destination);
    const delta = Buffer.from('000101', 'hex');
    const body = Buffer.alloc(8 + 16);
    body.set(delta);
    body.writeUInt32LE(7, 8);
    body[12] = 3;
    body[14] = delta.length;
    const page = new Uint8Array(PAGE_BYTES);
    page[0] = 1;
    body.writeBigUInt64LE(pageHash(page, 7), 16);
    const crc = crcInKernel(body.subarray(8));
    expect(apply(destination, body, 16, crc)).toMatchObject({ outcome: 'bad-delta', errorPfn: 7 });
    // A zero run is enough to make it come.
    const zeroRun = Buffer.alloc(16);
    zeroRun.writeUInt32LE(7, 0);
    zeroRun[4] = 1;
    zeroRun[6] = 1;
    expect(apply(destination, zeroRun, 16, crcInKernel(zeroRun)).newPages).toBe(1);
    expect(apply(destination, body, 16, crc)).toMatchObject({ outcome: 'ok', newPages: 0 });
    expect(pageOf(destination, 7).equals(page)).toBe(true);
  });
});

describe('apply() in post-copy', () => {
  const RECEIVED = fc.array(fc.boolean(), { minLength: PAGE_COUNT, maxLength: PAGE_COUNT });

  test('apply() skips every page that has come, as the reference does', () => {
    fc.assert(
      fc.property(changes, changes, RECEIVED, (first, second, received) => {
        const { body, result, expected } = startWith(first, second);
        for (const [pfn, isReceived] of received.entries()) {
          expected.received[pfn] = isReceived;
          destination.bytes[destination.layout.receivedMap + pfn] = Number(isReceived);
        }
        const came = received.filter((bit) => bit).length;
        const { tableBytes, tableCrc } = result;
        const outcome = expected.apply(body, tableBytes, tableCrc, true);
        const applied = apply(destination, body, tableBytes, tableCrc, true);
        // A delta for a page that has not come has no base in post-copy.
        expect(applied.outcome).toBe(outcome);
        expectSameState(destination, expected);
        if (outcome !== 'ok') return;
        expect(applied.duplicatePages).toBe(expected.duplicatePages);
        const told = result.zeroPages + result.rawPages + result.xbzrlePages;
        const { zeroPages, rawPages, xbzrlePages, newPages, duplicatePages } = applied;
        expect(zeroPages + rawPages + xbzrlePages + duplicatePages).toBe(told);
        expect(newPages).toBe(told - duplicatePages);
        expect(receivedOf(destination).filter((bit) => bit)).toHaveLength(came + newPages);
      }),
      { numRuns: 120 },
    );
  });

  test('apply() leaves a page without its mark when its hash is wrong', () => {
    clearBlock(source);
    clearBlock(destination);
    for (const pfn of [3, 4]) pageOf(source, pfn).fill(pfn);
    const { body, result } = gather([3, 4], false, false, 1);
    const spoilt = Uint8Array.from(body);
    spoilt[PAGE_BYTES + 7]! ^= 1;
    const applied = apply(destination, spoilt, result.tableBytes, result.tableCrc, true);
    expect(applied).toMatchObject({ outcome: 'bad-hash', errorPfn: 4 });
    expect([destination.isReceived(3), destination.isReceived(4)]).toEqual([true, false]);
    // It comes again, and the other one does not count twice.
    const again = apply(destination, body, result.tableBytes, result.tableCrc, true);
    expect(again).toMatchObject({ outcome: 'ok', newPages: 1, duplicatePages: 1 });
    expect(pageOf(destination, 4).equals(pageOf(source, 4))).toBe(true);
  });

  test('zeros clear what a page with a wrong hash left', () => {
    clearBlock(source);
    clearBlock(destination);
    pageOf(source, 4).fill(4);
    const raw = gather([4], false, false, 1);
    const spoilt = Uint8Array.from(raw.body);
    spoilt[7]! ^= 1;
    const { tableBytes, tableCrc } = raw.result;
    expect(apply(destination, spoilt, tableBytes, tableCrc, true).outcome).toBe('bad-hash');
    // The guest has cleared the page by the time at which it is sent again.
    pageOf(source, 4).fill(0);
    const zeros = gather([4], false, false, 1);
    apply(destination, zeros.body, zeros.result.tableBytes, zeros.result.tableCrc, true);
    expect(destination.ram.equals(source.ram)).toBe(true);
    expect(destination.hashOf(4)).toBe(0n);
  });

  test('a page that was forgotten comes again, whatever it held', () => {
    clearBlock(source);
    clearBlock(destination);
    pageOf(source, 2).fill(2);
    const first = gather([2, 6], false, false, 1);
    apply(destination, first.body, first.result.tableBytes, first.result.tableCrc);
    expect(destination.forget(Uint8Array.of(0b0100_0100, 0, 0, 0, 0))).toBe(2);
    pageOf(source, 2).fill(0);
    pageOf(source, 6).fill(6);
    const second = gather([2, 6], false, false, 1);
    const { tableBytes, tableCrc } = second.result;
    const applied = apply(destination, second.body, tableBytes, tableCrc, true);
    expect(applied).toMatchObject({ newPages: 2, duplicatePages: 0, zeroPages: 1, rawPages: 1 });
    expect(destination.ram.equals(source.ram)).toBe(true);
  });
});

describe('hashPages() and compareHashes()', () => {
  test('compareHashes() finds exactly the pages that differ', () => {
    fc.assert(
      fc.property(changes, fc.uniqueArray(fc.nat({ max: PAGE_COUNT - 1 })), (list, different) => {
        startWith(list, list);
        const theirs = bodyAddress(destination, 1);
        destination.kernels.hashPages(0, PAGE_COUNT, theirs);
        const words = destination.bytes.subarray(theirs, theirs + PAGE_COUNT * 8);
        const expected = hashesOf(destination);
        expect(
          Array.from({ length: PAGE_COUNT }, (_, pfn) => words.readBigUInt64LE(pfn * 8)),
        ).toEqual(expected);
        for (const [pfn, hash] of expected.entries()) expect(destination.hashOf(pfn)).toBe(hash);
        for (const pfn of different) words[pfn * 8 + 3]! ^= 0x40;
        const found = destination.compareHashes(0, PAGE_COUNT, theirs, 5);
        expect(found.different).toBe(different.length);
        expect(found.pfns).toEqual([...different].sort((a, b) => a - b).slice(0, 5));
      }),
      { numRuns: 40 },
    );
  });
});

interface Started extends ReferenceBatch {
  /** In the same state as the block. */
  readonly expected: ReferencePageDestination;
}

/** Both destinations have applied `first`; the batch is what `second` makes of it. */
function startWith(first: readonly PageChange[], second: readonly PageChange[]): Started {
  clearBlock(destination);
  const [opening, next] = makeBatch(first, second);
  const { tableBytes, tableCrc } = opening.result;
  const expected = new ReferencePageDestination(PAGE_COUNT);
  expect(expected.apply(opening.body, tableBytes, tableCrc)).toBe('ok');
  expect(apply(destination, opening.body, tableBytes, tableCrc).outcome).toBe('ok');
  fc.pre(next.body.length > 0);
  return { ...next, expected };
}

function expectSameOutcome(
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

function crcInKernel(bytes: Uint8Array): number {
  const at = bodyAddress(source, 3);
  source.bytes.set(bytes, at);
  return source.kernels.crc32c(at, bytes.length) >>> 0;
}

function expectSameCache(ways: number, reference: ReferencePageSource): void {
  const actual = cacheOf(source, ways);
  const expected = reference.cache.pages;
  expect(actual.map(({ pfn, age }) => [pfn, age])).toEqual(
    expected.map(({ pfn, age }) => [pfn, age]),
  );
  expect(actual.every(({ content }, way) => content.equals(expected[way]!.content))).toBe(true);
}

/** The invariant on which deltas stand. */
function expectCacheHeldByDestination(ways: number): void {
  for (const { pfn, content } of cacheOf(source, ways)) {
    expect(content.equals(pageOf(destination, pfn))).toBe(true);
  }
}
