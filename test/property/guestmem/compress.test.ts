import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { LANE_COUNT, laneAddress } from '../../../src/guestmem/block/block-layout.ts';
import { type CompressResult, compressBody, probeBody } from '../../../src/guestmem/index.ts';
import { decodePageTable, type PageEntry } from '../../../src/protocol/index.ts';
import { decodeLz4 } from '../../reference/lz4.ts';
import { ReferencePageDestination } from '../../reference/page-destination.ts';
import { bodyAddress, clearBlock } from '../../support/test-block.ts';
import {
  apply,
  changes,
  crcInKernel,
  destination,
  expectSameState,
  lz4InKernel,
  makeBatch,
  PAGE_COUNT,
  source,
} from './page-batches.ts';

interface Made {
  readonly body: Uint8Array;
  readonly made: CompressResult;
}

/** Puts a body into a slot and lets the kernel rewrite it. */
function compress(
  sent: Uint8Array,
  tableBytes: number,
  how: { pages: boolean; deltas: boolean; maxTries?: number; lane?: number },
): Made {
  const address = bodyAddress(source);
  source.bytes.set(sent, address);
  const made = compressBody(source, how.lane ?? 0, {
    address,
    bodyBytes: sent.length,
    tableBytes,
    pages: how.pages,
    deltas: how.deltas,
    maxTries: how.maxTries ?? 256,
  });
  return { body: Uint8Array.from(source.bytes.subarray(address, address + made.bodyBytes)), made };
}

function entriesOf(body: Uint8Array, tableBytes: number): PageEntry[] {
  const decoded = decodePageTable(body, tableBytes);
  if (decoded.kind !== 'ok') throw decoded.error;
  return decoded.body;
}

/** The entry as it was before. */
function expand(entry: PageEntry): PageEntry {
  if (entry.kind === 'LZ4') {
    return { ...entry, kind: 'RAW', payload: decodeLz4(entry.payload, PAGE_BYTES)! };
  }
  if (entry.kind !== 'LZ4_XBZRLE') return entry;
  return { ...entry, kind: 'XBZRLE', payload: decodeLz4(entry.payload, PAGE_BYTES - 1)! };
}

const how = fc.record({
  pages: fc.boolean(),
  deltas: fc.boolean(),
  maxTries: fc.constantFrom(0, 1, 3, 256),
  lane: fc.nat({ max: LANE_COUNT - 1 }),
});

describe('compressBody()', () => {
  test('compressBody() says the same in fewer bytes, and the table and its checksum are right', () => {
    fc.assert(
      fc.property(changes, changes, how, (first, second, options) => {
        for (const { body: sent, result } of makeBatch(first, second)) {
          if (sent.length === 0) continue;
          const { body, made } = compress(sent, result.tableBytes, options);
          const table = body.subarray(body.length - result.tableBytes);
          expect(made.tableCrc).toBe(crcInKernel(table));
          expect(made.bodyBytes).toBeLessThanOrEqual(sent.length);
          const after = entriesOf(body, result.tableBytes);
          expect(after.map(expand)).toEqual(entriesOf(sent, result.tableBytes));
          const of = (kind: PageEntry['kind']) => after.filter((entry) => entry.kind === kind);
          const bytes = (kind: 'LZ4' | 'LZ4_XBZRLE') =>
            of(kind).reduce(
              (sum, entry) => sum + ('payload' in entry ? entry.payload.length : 0),
              0,
            );
          expect([made.lz4Pages, made.lz4Bytes]).toEqual([of('LZ4').length, bytes('LZ4')]);
          expect([made.lz4Deltas, made.lz4DeltaBytes]).toEqual([
            of('LZ4_XBZRLE').length,
            bytes('LZ4_XBZRLE'),
          ]);
          expect(made.triedPages + made.triedDeltas).toBeLessThanOrEqual(options.maxTries);
          if (!options.pages) expect(made.triedPages).toBe(0);
          if (!options.deltas) expect(made.triedDeltas).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('what compressBody() made is applied as the reference does it', () => {
    fc.assert(
      fc.property(changes, changes, fc.boolean(), (first, second, keepReceived) => {
        clearBlock(destination);
        const expected = new ReferencePageDestination(PAGE_COUNT);
        for (const { body: sent, result } of makeBatch(first, second)) {
          if (sent.length === 0) continue;
          const { body, made } = compress(sent, result.tableBytes, { pages: true, deltas: true });
          const outcome = expected.apply(body, result.tableBytes, made.tableCrc, keepReceived);
          const applied = apply(destination, body, result.tableBytes, made.tableCrc, keepReceived);
          expect([applied.outcome, outcome]).toEqual(['ok', 'ok']);
          expectSameState(destination, expected);
          if (keepReceived) continue;
          expect(applied).toMatchObject({
            lz4Pages: made.lz4Pages,
            lz4Bytes: made.lz4Bytes,
            lz4XbzrlePages: made.lz4Deltas,
            lz4XbzrleBytes: made.lz4DeltaBytes,
          });
        }
      }),
      { numRuns: 40 },
    );
  });

  test('apply() refuses what compressBody() made when any bit of its payload is flipped', () => {
    fc.assert(
      fc.property(changes, fc.nat(), (list, position) => {
        clearBlock(destination);
        const [{ body: sent, result }] = makeBatch(list, list);
        const { body, made } = compress(sent, result.tableBytes, { pages: true, deltas: true });
        const payloadBytes = body.length - result.tableBytes;
        fc.pre(payloadBytes > 0);
        const bit = position % (payloadBytes * 8);
        body[bit >> 3]! ^= 1 << (bit & 7);
        const expected = new ReferencePageDestination(PAGE_COUNT);
        const outcome = expected.apply(body, result.tableBytes, made.tableCrc);
        const applied = apply(destination, body, result.tableBytes, made.tableCrc);
        expect(applied.outcome).toBe(outcome);
        // A bit that says the same in another way is no damage: the page is what it was.
        if (outcome !== 'ok') expect(['bad-table', 'bad-lz4', 'bad-hash']).toContain(outcome);
        expect(destination.ram.equals(expected.ram)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('compressBody() writes nothing but the body and its lane', () => {
    clearBlock(source);
    const page = Buffer.alloc(PAGE_BYTES, 'page of text ');
    const sent = Buffer.alloc(PAGE_BYTES + 16);
    sent.set(page);
    sent.writeUInt32LE(5, PAGE_BYTES);
    sent[PAGE_BYTES + 4] = 2;
    sent.writeUInt16LE(PAGE_BYTES, PAGE_BYTES + 6);
    const address = bodyAddress(source);
    source.bytes.set(sent, address);
    const before = Buffer.from(source.bytes.subarray(0, source.layout.ram));
    compress(sent, 16, { pages: true, deltas: true, lane: 2 });
    const after = source.bytes.subarray(0, source.layout.ram);
    const allowed: readonly [number, number][] = [
      [address, address + sent.length],
      [laneAddress(2), laneAddress(3)],
    ];
    for (const [from, to] of allowed) after.copy(before, from, from, to);
    expect(after.equals(before)).toBe(true);
  });
});

/** What of every `stride`-th page and delta that is worth a try is shorter as LZ4. */
function countTries(entries: readonly PageEntry[], stride: number) {
  const counts = {
    ...{ triedPages: 0, lz4Pages: 0, lz4Bytes: 0, triedDeltas: 0, triedDeltaBytes: 0 },
    ...{ lz4Deltas: 0, lz4DeltaBytesBefore: 0, lz4DeltaBytes: 0 },
  };
  const worth = entries.flatMap((entry) => {
    if (entry.kind === 'RAW') return [{ payload: entry.payload, isDelta: false }];
    const isLong = entry.kind === 'XBZRLE' && entry.payload.length >= 64;
    return isLong ? [{ payload: entry.payload, isDelta: true }] : [];
  });
  for (const { payload, isDelta } of worth.filter((_, index) => index % stride === 0)) {
    const encoded = lz4InKernel(payload, payload.length - (isDelta ? 16 : 64));
    counts.triedPages += isDelta ? 0 : 1;
    counts.triedDeltas += isDelta ? 1 : 0;
    counts.triedDeltaBytes += isDelta ? payload.length : 0;
    if (encoded === undefined) continue;
    counts.lz4Pages += isDelta ? 0 : 1;
    counts.lz4Bytes += isDelta ? 0 : encoded.length;
    counts.lz4Deltas += isDelta ? 1 : 0;
    counts.lz4DeltaBytesBefore += isDelta ? payload.length : 0;
    counts.lz4DeltaBytes += isDelta ? encoded.length : 0;
  }
  return counts;
}

describe('probeBody()', () => {
  test('probeBody() counts what every so many-th page and delta would gain, and changes nothing', () => {
    fc.assert(
      fc.property(changes, changes, fc.constantFrom(1, 2, 3, 7), (first, second, stride) => {
        for (const { body: sent, result } of makeBatch(first, second)) {
          if (sent.length === 0) continue;
          const address = bodyAddress(source);
          source.bytes.set(sent, address);
          const { tableBytes } = result;
          const tried = probeBody(source, 0, {
            address,
            bodyBytes: sent.length,
            tableBytes,
            stride,
          });
          expect(source.bytes.subarray(address, address + sent.length).equals(sent)).toBe(true);
          expect(tried).toEqual(countTries(entriesOf(sent, tableBytes), stride));
        }
      }),
      { numRuns: 40 },
    );
  });
});
