import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTrace, encodeTrace, type Trace } from '../../../src/guestmem/index.ts';
import { lz4Size } from '../../../src/guestmem/trace/lz4-size.ts';

const PAGES = 300;

const pages = fc
  .uniqueArray(fc.nat(PAGES - 1), { maxLength: PAGES })
  .map((list) => Uint32Array.from(list.sort((first, second) => first - second)));
const length = fc.nat(4096);
const change = fc.record({
  pfn: fc.nat(PAGES - 1),
  lag: fc.nat(),
  changedBytes: length,
  xbzrleBytes: length,
  lz4Bytes: length,
  deltaLz4Bytes: length,
});
const trace: fc.Arbitrary<Trace> = fc.record({
  header: fc.record({
    ramBlocks: fc.constant([{ name: 'ram0', bytes: PAGES * 4096 }]),
    vcpuCount: fc.integer({ min: 1, max: 16 }),
    workload: fc.string(),
    intervalMs: fc.integer({ min: 1, max: 1000 }),
  }),
  populated: fc
    .uint8Array({ minLength: 38, maxLength: 38 })
    .map((bitmap) => bitmap.with(37, (bitmap[37] as number) & 0x0f)),
  contents: fc.array(fc.record({ pfn: fc.nat(PAGES - 1), lz4Bytes: length }), { maxLength: 9 }),
  intervals: fc.array(
    fc.record({
      spanMs: fc.nat(1e9).map((us) => us / 1000),
      busyShare: fc.nat(1000).map((thousandths) => thousandths / 1000),
      pages,
      changes: fc.array(change, { maxLength: 5 }),
    }),
    { maxLength: 6 },
  ),
});

test('decodeTrace() gives back what encodeTrace() was given', () => {
  fc.assert(
    fc.property(trace, (value) => {
      expect(decodeTrace(encodeTrace(value))).toEqual(value);
    }),
  );
});

test('a set of pages never takes more than a bitmap of them', () => {
  fc.assert(
    fc.property(pages, (set) => {
      const empty = { spanMs: 0, busyShare: 0, pages: Uint32Array.of(), changes: [] };
      const sized = (interval: Trace['intervals'][number]) =>
        encodeTrace({
          header: {
            ramBlocks: [{ name: 'ram0', bytes: PAGES * 4096 }],
            vcpuCount: 1,
            workload: '',
            intervalMs: 1,
          },
          populated: new Uint8Array(38),
          contents: [],
          intervals: [interval],
        }).length;
      expect(sized({ ...empty, pages: set }) - sized(empty)).toBeLessThanOrEqual(38 + 1);
    }),
  );
});

/** A native module without types. */
const lz4 = createRequire(import.meta.url)('lz4') as {
  encodeBound(length: number): number;
  encodeBlock(input: Buffer, output: Buffer): number;
};

test('lz4Size() is close to what the encoder makes', () => {
  // Words from a small alphabet, so that there is something to find.
  const word = fc.uint8Array({ minLength: 3, maxLength: 24 });
  const words = fc.array(word, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(words, fc.nat(), (alphabet, seed) => {
      const page = Buffer.alloc(4096);
      let state = seed | 1;
      for (let filled = 0; filled < page.length; ) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        const piece = alphabet[(state >>> 8) % alphabet.length] as Uint8Array;
        page.set(piece.subarray(0, page.length - filled), filled);
        filled += piece.length;
      }
      const output = Buffer.alloc(lz4.encodeBound(page.length));
      const made = lz4.encodeBlock(page, output) || page.length;
      expect(Math.abs(lz4Size(page) - made)).toBeLessThanOrEqual(0.2 * made + 32);
    }),
  );
});
