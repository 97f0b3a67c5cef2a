import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { laneAddress } from '../../../src/guestmem/block/block-layout.ts';
import { decodeLz4 } from '../../reference/lz4.ts';
import { lz4Library } from '../../support/lz4-library.ts';
import { bodyAddress, noise, testBlock } from '../../support/test-block.ts';
import { anyEdits, applyEdits, makePage, pageRecipe } from './page-arbitraries.ts';

const block = testBlock(4);
const { kernels } = block;
const TABLE = laneAddress(0) + 0x400;
const FROM = bodyAddress(block, 1);
const TO = FROM + 4 * PAGE_BYTES;
/** What is written by whole vectors may go so far beyond a limit of the encoder. */
const SLACK = 32;
const CANARY = 0x5a;

/** Undefined: no block shorter than the limit. */
function encode(bytes: Uint8Array, limit: number): Uint8Array | undefined {
  block.bytes.set(bytes, FROM);
  const area = block.bytes.subarray(TO - 16, TO + limit + SLACK + 16).fill(CANARY);
  const length = kernels.lz4Encode(FROM, bytes.length, TO, limit, TABLE);
  expect([...area.subarray(0, 16), ...area.subarray(-16)]).toEqual(new Array(32).fill(CANARY));
  return length === 0 ? undefined : Uint8Array.from(area.subarray(16, 16 + length));
}

/** Undefined: refused. */
function decode(encoded: Uint8Array, limit: number): Uint8Array | undefined {
  // Behind the block lies what would look like more of it.
  block.bytes.fill(0x11, FROM, FROM + encoded.length + 600).set(encoded, FROM);
  const area = block.bytes.subarray(TO - 16, TO + limit + 16).fill(CANARY);
  const length = kernels.lz4Decode(FROM, encoded.length, TO, limit);
  expect([...area.subarray(0, 16), ...area.subarray(-16)]).toEqual(new Array(32).fill(CANARY));
  return length < 0 ? undefined : Uint8Array.from(area.subarray(16, 16 + length));
}

/** Pieces that repeat at all distances, with noise in between. */
const pieces: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      fc.record({ noise: fc.nat(), length: fc.integer({ min: 1, max: 300 }) }),
      fc.record({
        back: fc.integer({ min: 1, max: 4000 }),
        length: fc.integer({ min: 1, max: 900 }),
      }),
    ),
    { minLength: 1, maxLength: 40 },
  )
  .map((list) => {
    const bytes: number[] = [];
    for (const piece of list) {
      if ('noise' in piece) bytes.push(...noise(piece.noise, piece.length));
      else for (let n = 0; n < piece.length; n += 1) bytes.push(bytes.at(-piece.back) ?? 0);
    }
    return Uint8Array.from(bytes.slice(0, PAGE_BYTES));
  });
const pages: fc.Arbitrary<Uint8Array> = fc.tuple(pageRecipe, anyEdits).map(([recipe, edits]) => {
  const page = makePage(recipe);
  applyEdits(page, edits);
  return page;
});

describe('lz4Encode()', () => {
  test('lz4Encode() writes blocks that the LZ4 library, the reference and the kernel read back', () => {
    fc.assert(
      fc.property(fc.oneof(pieces, pages), (bytes) => {
        const encoded = encode(bytes, PAGE_BYTES);
        if (encoded === undefined) return;
        const native = Buffer.alloc(PAGE_BYTES);
        expect(lz4Library.decodeBlock(Buffer.from(encoded), native)).toBe(bytes.length);
        expect(native.subarray(0, bytes.length).equals(bytes)).toBe(true);
        expect(decodeLz4(encoded, PAGE_BYTES)).toEqual(bytes);
        expect(decode(encoded, PAGE_BYTES)).toEqual(bytes);
      }),
      { numRuns: 120 },
    );
  });

  test('lz4Encode() never passes its limit, and does not depend on what it encoded before', () => {
    fc.assert(
      fc.property(
        pieces,
        pieces,
        fc.integer({ min: 0, max: PAGE_BYTES }),
        (bytes, other, limit) => {
          const whole = encode(bytes, PAGE_BYTES);
          encode(other, PAGE_BYTES);
          const limited = encode(bytes, limit);
          if (limited === undefined) return;
          expect(limited.length).toBeLessThanOrEqual(limit);
          expect(limited).toEqual(whole);
        },
      ),
      { numRuns: 120 },
    );
  });

  test.each([
    ['noise', noise(1, PAGE_BYTES)],
    ['thirteen different bytes', Uint8Array.from({ length: 13 }, (_, index) => index)],
    ['one byte', Uint8Array.of(7)],
    ['nothing', new Uint8Array(0)],
  ])('lz4Encode() gives up for %s', (_, bytes) => {
    expect(encode(bytes, bytes.length)).toBeUndefined();
  });

  test('lz4Encode() comes close to the LZ4 library', () => {
    const text = Buffer.from(
      Array.from({ length: 400 }, (_, index) => `page ${index * index} of the guest, `).join(''),
    ).subarray(0, PAGE_BYTES);
    const native = lz4Library.encodeBlock(text, Buffer.alloc(2 * PAGE_BYTES));
    const encoded = encode(text, PAGE_BYTES);
    expect(encoded?.length).toBeLessThan(native * 1.1);
  });
});

describe('lz4Decode()', () => {
  test('lz4Decode() reads what the LZ4 library writes', () => {
    fc.assert(
      fc.property(fc.oneof(pieces, pages), (bytes) => {
        const native = Buffer.alloc(2 * PAGE_BYTES);
        const length = lz4Library.encodeBlock(Buffer.from(bytes), native);
        fc.pre(length > 0);
        expect(decode(native.subarray(0, length), PAGE_BYTES)).toEqual(bytes);
      }),
      { numRuns: 100 },
    );
  });

  test('lz4Decode() is the reference for any bytes and any limit', () => {
    const octet = fc.oneof(fc.constantFrom(0, 1, 2, 4, 15, 16, 0x1f, 0xf0, 255), fc.nat(255));
    const junk = fc.array(octet, { maxLength: 300 }).map((list) => Uint8Array.from(list));
    fc.assert(
      fc.property(junk, fc.integer({ min: 0, max: PAGE_BYTES }), (bytes, limit) => {
        expect(decode(bytes, limit)).toEqual(decodeLz4(bytes, limit));
      }),
      { numRuns: 2000 },
    );
  });

  test('lz4Decode() is the reference for blocks in which one bit is wrong, or the end is missing', () => {
    fc.assert(
      fc.property(pieces, fc.nat(), fc.nat(), (bytes, bit, cut) => {
        const encoded = encode(bytes, PAGE_BYTES);
        if (encoded === undefined) return;
        const at = bit % (encoded.length * 8);
        const spoilt = Uint8Array.from(encoded);
        spoilt[at >> 3]! ^= 1 << (at & 7);
        expect(decode(spoilt, PAGE_BYTES)).toEqual(decodeLz4(spoilt, PAGE_BYTES));
        const shorter = encoded.subarray(0, cut % encoded.length);
        expect(decode(shorter, PAGE_BYTES)).toEqual(decodeLz4(shorter, PAGE_BYTES));
      }),
      { numRuns: 120 },
    );
  });

  test.each([
    ['nothing', []],
    ['a token and no literal', [0x10]],
    ['a length without an end', [0xf0, 255, 255]],
    ['literals beyond the block', [0x50, 1, 2]],
    ['half an offset', [0x10, 1, 1]],
    ['an offset of zero', [0x10, 1, 0, 0, 0x10, 1]],
    ['an offset to before the beginning', [0x10, 1, 2, 0, 0x10, 1]],
    ['a match at its end', [0x10, 1, 1, 0]],
    ['a match of more than a page', [0x1f, 1, 1, 0, ...new Array(17).fill(255), 0, 0x10, 1]],
  ])('lz4Decode() refuses %s', (_, bytes) => {
    expect(decode(Uint8Array.from(bytes), PAGE_BYTES)).toBeUndefined();
  });
});
