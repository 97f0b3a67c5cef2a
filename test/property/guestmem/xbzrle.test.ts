import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { decodeXbzrle, encodeXbzrle, type XbzrleEncoding } from '../../reference/xbzrle.ts';
import { bodyAddress, noise, testBlock } from '../../support/test-block.ts';
import { anyEdits, applyEdits, edits, makePage, pageRecipe } from './page-arbitraries.ts';

const block = testBlock(4);
const { kernels } = block;
const CANARY_BYTES = 32;
const CANARY = 0x5a;

/** Far enough from each other for canaries around each. */
const OLD = bodyAddress(block, 1) + 64;
const NEW = OLD + 2 * PAGE_BYTES;
const TO = NEW + 2 * PAGE_BYTES;

interface Shift {
  readonly old: number;
  readonly new: number;
  readonly to: number;
}
const aligned: Shift = { old: 0, new: 0, to: 0 };
const shift: fc.Arbitrary<Shift> = fc.record({
  old: fc.nat({ max: 17 }),
  new: fc.nat({ max: 17 }),
  to: fc.nat({ max: 17 }),
});

function kernelEncode(
  oldPage: Uint8Array,
  newPage: Uint8Array,
  limitBytes = PAGE_BYTES,
  at: Shift = aligned,
): XbzrleEncoding {
  block.bytes.set(oldPage, OLD + at.old);
  block.bytes.set(newPage, NEW + at.new);
  const area = guarded(TO + at.to, limitBytes);
  const length = kernels.xbzrleEncode(OLD + at.old, NEW + at.new, TO + at.to, limitBytes);
  expect(canariesLive(area)).toBe(true);
  if (length === -1) return 'overflow';
  return length === 0 ? 'unchanged' : Uint8Array.from(inside(area).subarray(0, length));
}

/** The page after decoding, or undefined when the kernel refused. */
function kernelDecode(oldPage: Uint8Array, encoding: Uint8Array): Uint8Array | undefined {
  const area = guarded(OLD, PAGE_BYTES);
  inside(area).set(oldPage);
  // Behind the encoding lies what would look like more of it.
  block.bytes.fill(1, TO, TO + encoding.length + 64).set(encoding, TO);
  const accepted = kernels.xbzrleDecode(OLD, TO, encoding.length) !== 0;
  expect(canariesLive(area)).toBe(true);
  return accepted ? Uint8Array.from(inside(area)) : undefined;
}

function guarded(at: number, length: number): Buffer {
  return block.bytes.subarray(at - CANARY_BYTES, at + length + CANARY_BYTES).fill(CANARY);
}

function inside(area: Buffer): Buffer {
  return area.subarray(CANARY_BYTES, area.length - CANARY_BYTES);
}

function canariesLive(area: Buffer): boolean {
  const outside = [...area.subarray(0, CANARY_BYTES), ...area.subarray(-CANARY_BYTES)];
  return outside.every((byte) => byte === CANARY);
}

/** 1001 equal bytes, 15 new ones, 3 equal, one new, one equal, one new. */
const DOCUMENT_EXAMPLE = 'e9070f0102030405060708090a0b0c0d0e0f030167010169';
const zeroPage = new Uint8Array(PAGE_BYTES);

function changed(positions: Iterable<number>, value = 1): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  for (const at of positions) page[at] = value;
  return page;
}

function documentExample(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  for (let value = 1; value <= 15; value += 1) page[1000 + value] = value;
  page[1001 + 15 + 3] = 0x67;
  page[1001 + 15 + 5] = 0x69;
  return page;
}

function range(start: number, count: number, step = 1): number[] {
  return Array.from({ length: count }, (_, index) => start + index * step);
}

describe('xbzrleEncode()', () => {
  test.each([
    ['the example of the document', documentExample(), DOCUMENT_EXAMPLE],
    ['byte 0', changed([0]), '000101'],
    ['byte 127', changed([127]), '7f0101'],
    ['byte 128', changed([128]), '80010101'],
    ['byte 4095', changed([4095]), 'ff1f0101'],
  ])('xbzrleEncode() gives the bytes of QEMU when %s changed', (_, page, hex) => {
    const encoding = kernelEncode(zeroPage, page);
    expect(Buffer.from(encoding as Uint8Array).toString('hex')).toBe(hex);
    expect(kernelDecode(zeroPage, Buffer.from(hex, 'hex'))).toEqual(page);
  });

  test.each([
    ['every second byte, 1364 of them', range(0, 1364, 2), 4092],
    ['every second byte, 1365 of them', range(0, 1365, 2), 'overflow'],
    ['the first 4091 bytes', range(0, 4091), 4094],
    ['the first 4092 bytes', range(0, 4092), 'overflow'],
    ['the last 4093 bytes', range(3, 4093), 4096],
    ['the last 4094 bytes', range(2, 4094), 'overflow'],
    ['every byte', range(0, 4096), 'overflow'],
    ['no byte', [], 'unchanged'],
  ])('xbzrleEncode() is as long as that of QEMU when it changed %s', (_, positions, expected) => {
    const encoding = kernelEncode(zeroPage, changed(positions));
    expect(typeof encoding === 'string' ? encoding : encoding.length).toBe(expected);
  });

  test('xbzrleEncode() is the reference for any pair of pages at any alignment', () => {
    fc.assert(
      fc.property(pageRecipe, anyEdits, shift, (recipe, list, at) => {
        const oldPage = makePage(recipe);
        const newPage = Uint8Array.from(oldPage);
        applyEdits(newPage, list);
        const encoding = kernelEncode(oldPage, newPage, PAGE_BYTES, at);
        expectSame(encoding, encodeXbzrle(oldPage, newPage));
        if (typeof encoding !== 'string') {
          expect(Buffer.from(kernelDecode(oldPage, encoding) ?? []).equals(newPage)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('xbzrleEncode() is the reference for two pages that have nothing in common', () => {
    fc.assert(
      fc.property(pageRecipe, pageRecipe, (recipe, otherRecipe) => {
        const [oldPage, newPage] = [makePage(recipe), makePage(otherRecipe)];
        expectSame(kernelEncode(oldPage, newPage), encodeXbzrle(oldPage, newPage));
      }),
      { numRuns: 60 },
    );
  });

  test('xbzrleEncode() never passes its limit, whatever that is', () => {
    fc.assert(
      fc.property(pageRecipe, edits, fc.nat({ max: 600 }), (recipe, list, limitBytes) => {
        const oldPage = makePage(recipe);
        const newPage = Uint8Array.from(oldPage);
        applyEdits(newPage, list);
        const encoding = kernelEncode(oldPage, newPage, limitBytes);
        expectSame(encoding, encodeXbzrle(oldPage, newPage, limitBytes));
      }),
      { numRuns: 150 },
    );
  });
});

describe('xbzrleDecode()', () => {
  test.each([
    ['a lone length', '05'],
    ['an equal run and nothing', '0501'],
    ['an equal run of 0 that is not the first', '000101000101'],
    ['a changed run of 0', '050001'],
    ['a first length of more than 14 bits', '8080010101'],
    ['a second length of more than 14 bits', '01808001'],
    ['a two-byte length whose second byte is missing', '0080'],
    ['less than two bytes for the second length', '8005'],
    ['an equal run beyond the page', '80200101'],
    ['an equal run of 16383', 'ff7f0101'],
    ['a changed run beyond the page', 'ff1f020101'],
    ['changed bytes beyond the encoding', '000301'],
    ['changed bytes of a whole page beyond the encoding', '00802001'],
    ['a trailing equal run', '00010105'],
    ['a trailing equal run of two bytes', '0001018005'],
  ])('xbzrleDecode() refuses %s', (_, hex) => {
    const encoding = Buffer.from(hex, 'hex');
    expect(kernelDecode(zeroPage, encoding)).toBeUndefined();
    expect(decodeXbzrle(Uint8Array.from(zeroPage), encoding)).toBe(false);
  });

  test('xbzrleDecode() agrees with the reference on damaged encodings', () => {
    fc.assert(
      fc.property(
        pageRecipe,
        edits,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }),
        fc.nat({ max: 3 }),
        (recipe, list, damages, cutBytes) => {
          const oldPage = makePage(recipe);
          const newPage = Uint8Array.from(oldPage);
          applyEdits(newPage, list);
          const encoding = encodeXbzrle(oldPage, newPage);
          fc.pre(typeof encoding !== 'string' && encoding.length > 8);
          if (typeof encoding === 'string') return;
          // Near the beginning, where the lengths of short runs are.
          for (const [at, value] of damages) encoding[at % Math.min(24, encoding.length)] = value;
          expectSameDecoding(oldPage, encoding.subarray(0, encoding.length - cutBytes));
        },
      ),
      { numRuns: 400 },
    );
  });

  test('xbzrleDecode() agrees with the reference on any bytes', () => {
    const smallByte = fc.oneof(fc.constantFrom(0, 1, 2, 3, 127, 128, 129, 255), fc.nat(255));
    fc.assert(
      fc.property(fc.array(smallByte, { maxLength: 24 }), (bytes) => {
        expectSameDecoding(zeroPage, Uint8Array.from(bytes));
      }),
      { numRuns: 1500 },
    );
  });

  test('xbzrleDecode() keeps every byte that is not mentioned', () => {
    const oldPage = noise(3, PAGE_BYTES);
    const page = kernelDecode(oldPage, Buffer.from('0a01ff', 'hex'));
    const expected = Uint8Array.from(oldPage);
    expected[10] = 0xff;
    expect(page).toEqual(expected);
  });
});

function expectSame(actual: XbzrleEncoding, expected: XbzrleEncoding): void {
  if (typeof actual === 'string' || typeof expected === 'string') expect(actual).toBe(expected);
  else expect(Buffer.from(actual).equals(expected)).toBe(true);
}

/** Both refuse, or both make the same page of it. */
function expectSameDecoding(oldPage: Uint8Array, encoding: Uint8Array): void {
  const expected = Uint8Array.from(oldPage);
  const accepted = decodeXbzrle(expected, encoding);
  const actual = kernelDecode(oldPage, encoding);
  expect(actual !== undefined).toBe(accepted);
  if (actual !== undefined) expect(Buffer.from(actual).equals(expected)).toBe(true);
}
