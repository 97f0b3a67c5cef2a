import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodePageTable,
  decodeVerifyHashes,
  encodePageBatch,
  encodeVerifyHashes,
} from '../../../src/protocol/index.ts';
import { pageEntry } from './page-arbitraries.ts';

const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe('decodePageTable()', () => {
  test('decodePageTable() returns the entries that encodePageBatch() was given', () => {
    fc.assert(
      fc.property(fc.array(pageEntry, { minLength: 1, maxLength: 12 }), (entries) => {
        const { body, checkedBytes } = encodePageBatch(entries);
        expect(checkedBytes).toBe(entries.length * 16);
        expect(decodePageTable(body, checkedBytes)).toEqual({ kind: 'ok', body: entries });
      }),
      { numRuns: 60 },
    );
  });

  test('decodePageTable() says malformed when body and table differ in length', () => {
    fc.assert(
      fc.property(
        fc.array(pageEntry, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 64 }),
        (entries, bytes) => {
          const { body, checkedBytes } = encodePageBatch(entries);
          const longer = Buffer.concat([new Uint8Array(bytes), body]);
          expect(decodePageTable(longer, checkedBytes).kind).toBe('malformed');
          const shorter = body.subarray(Math.min(bytes, body.length));
          expect(decodePageTable(shorter, checkedBytes).kind).toBe('malformed');
        },
      ),
    );
  });

  test('decodePageTable() never throws on any bytes and any table length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 400 }), (body, checked) => {
        expect(['ok', 'malformed']).toContain(decodePageTable(body, checked).kind);
      }),
      { numRuns: 500 },
    );
  });
});

describe('decodeVerifyHashes()', () => {
  test('decodeVerifyHashes() returns what encodeVerifyHashes() was given', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.array(hash, { minLength: 1, maxLength: 200 }),
        (firstPfn, hashes) => {
          const body = encodeVerifyHashes({ firstPfn, hashes });
          expect(decodeVerifyHashes(body)).toEqual({ kind: 'ok', body: { firstPfn, hashes } });
          expect(decodeVerifyHashes(body.subarray(1)).kind).toBe('malformed');
          expect(decodeVerifyHashes(body.subarray(0, -1)).kind).toBe('malformed');
        },
      ),
      { numRuns: 60 },
    );
  });
});
