import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { ReferencePageDestination } from '../../reference/page-destination.ts';
import { pageHash } from '../../reference/page-hash.ts';
import { bodyAddress, clearBlock, hashesOf, pageOf, receivedOf } from '../../support/test-block.ts';
import {
  apply,
  changes,
  crcInKernel,
  destination,
  expectSameOutcome,
  expectSameState,
  gather,
  makeBatch,
  PAGE_COUNT,
  source,
  startWith,
} from './page-batches.ts';

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
