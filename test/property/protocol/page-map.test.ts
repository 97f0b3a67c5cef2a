import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countPages,
  decodePageMap,
  encodePageMap,
  PAGE_MAP_BYTES_MAX,
} from '../../../src/protocol/index.ts';

/** Runs of missing pages between runs of present ones; of large maps, longer ones. */
const pageSets = fc
  .tuple(
    fc.integer({ min: 1, max: 3000 }),
    fc.array(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 300 })), { maxLength: 60 }),
    fc.constantFrom(1, 1, 30),
  )
  .map(([count, runs, scale]) => {
    const pageCount = count * scale;
    const pages = new Set<number>();
    let at = 0;
    for (const [gap, length] of runs) {
      at += gap * scale;
      for (let i = 0; i < length * scale && at < pageCount; i += 1, at += 1) pages.add(at);
    }
    return { pageCount, pages };
  });

function bitmapOf(pageCount: number, pages: Iterable<number>): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(pageCount / 8));
  for (const page of pages) bitmap[page >> 3] = (bitmap[page >> 3] ?? 0) | (1 << (page & 7));
  return bitmap;
}

describe('page maps', () => {
  test('decodePageMap() gives back what encodePageMap() was given', () => {
    fc.assert(
      fc.property(pageSets, ({ pageCount, pages }) => {
        const bitmap = bitmapOf(pageCount, pages);
        const body = encodePageMap(bitmap, pageCount);
        expect(body.length).toBeLessThanOrEqual(8 + bitmap.length);
        const decoded = decodePageMap('MISSING_MAP', body, pageCount);
        if (decoded.kind !== 'ok') throw decoded.error;
        expect(Buffer.from(bitmap).equals(decoded.body.bitmap)).toBe(true);
        expect(countPages(decoded.body)).toBe(pages.size);
      }),
    );
  });

  test('encodePageMap() leaves out what a bitmap has beyond its last page', () => {
    const bitmap = Uint8Array.from([0b1010_1010, 0b1111_1111]);
    const decoded = decodePageMap('RECEIVED_MAP', encodePageMap(bitmap, 10), 10);
    expect(decoded).toMatchObject({ kind: 'ok', body: { bitmap: Uint8Array.from([0xaa, 0x03]) } });
  });

  test('encodePageMap() needs a few bytes for a map of few pieces, and never more than a bit a page', () => {
    const pageCount = 524_288;
    const full = new Uint8Array(pageCount / 8).fill(0xff);
    expect(encodePageMap(full, pageCount).length).toBeLessThan(16);
    const scattered = new Uint8Array(pageCount / 8).fill(0x55);
    expect(encodePageMap(scattered, pageCount).length).toBe(PAGE_MAP_BYTES_MAX);
  });

  test('decodePageMap() never throws and never sets a page beyond the block, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat({ max: 200 }), (data, pageCount) => {
        const body = new Uint8Array(8 + data.length);
        new DataView(body.buffer).setUint32(0, pageCount, true);
        body[4] = 1 + (data.length & 1);
        body.set(data, 8);
        const decoded = decodePageMap('MISSING_MAP', body, pageCount);
        if (decoded.kind === 'ok') {
          expect(decoded.body.bitmap.length).toBe(Math.ceil(pageCount / 8));
          const beyond = { pageCount: decoded.body.bitmap.length * 8, bitmap: decoded.body.bitmap };
          expect(countPages(beyond)).toBe(countPages(decoded.body));
        } else expect(decoded.error.code).toBe('E_PROTOCOL_BAD_BODY');
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, readonly number[]]>([
    ['is cut off', [20, 0]],
    ['is of another block size', [21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['has a reserved byte', [20, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]],
    ['has an unknown encoding', [20, 0, 0, 0, 3, 0, 0, 0]],
    ['has a bitmap that is too short', [20, 0, 0, 0, 1, 0, 0, 0, 0, 0]],
    ['has a page beyond the block in its bitmap', [20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10]],
    ['has an empty run', [20, 0, 0, 0, 2, 0, 0, 0, 3, 0]],
    ['has a run beyond the block', [20, 0, 0, 0, 2, 0, 0, 0, 3, 18]],
    ['has two runs that touch', [20, 0, 0, 0, 2, 0, 0, 0, 3, 2, 0, 2]],
    ['has a run without a length', [20, 0, 0, 0, 2, 0, 0, 0, 3]],
    ['has a length of four octets', [20, 0, 0, 0, 2, 0, 0, 0, 0x80, 0x80, 0x80, 0x01, 1]],
  ])('decodePageMap() refuses a map that %s', (_what, bytes) => {
    const decoded = decodePageMap('RECEIVED_MAP', Uint8Array.from(bytes), 20);
    expect(decoded.kind).toBe('malformed');
  });
});
