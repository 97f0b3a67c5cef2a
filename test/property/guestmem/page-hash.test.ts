import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, PAGE_BYTES, Random } from '../../../src/base/index.ts';
import { isZeroPage, pageHash } from '../../reference/page-hash.ts';
import { bodyAddress, noise, pageOf, testBlock } from '../../support/test-block.ts';
import { anyEdits, applyEdits, makePage, pageRecipe } from './page-arbitraries.ts';

const block = testBlock(4);
const { kernels, layout } = block;
/** Kernels give signed 64-bit numbers. */
const unsigned = (hash: bigint) => BigInt.asUintN(64, hash);
const pfnNumber = fc.nat({ max: 2 ** 19 });

function kernelHash(page: Uint8Array, pfn: number, at = layout.ram): bigint {
  block.bytes.set(page, at);
  return unsigned(kernels.hashPage(at, pfn));
}

describe('hashPage()', () => {
  test('hashPage() is the reference for any content, page number and alignment', () => {
    fc.assert(
      fc.property(
        pageRecipe,
        anyEdits,
        pfnNumber,
        fc.nat({ max: 63 }),
        (recipe, edits, pfn, offset) => {
          const page = makePage(recipe);
          applyEdits(page, edits);
          expect(kernelHash(page, pfn, bodyAddress(block) + offset)).toBe(pageHash(page, pfn));
        },
      ),
      { numRuns: 150 },
    );
  });

  test('hashPage() is 0 for a page of zeros and for no other', () => {
    for (const pfn of [0, 1, 77, 2 ** 19 - 1]) {
      expect(kernelHash(new Uint8Array(PAGE_BYTES), pfn)).toBe(0n);
    }
    const page = pageOf(block, 0).fill(0);
    for (let at = 0; at < PAGE_BYTES; at += 1) {
      page[at] = 1 << (at & 7);
      expect(kernels.hashPage(layout.ram, 0) !== 0n).toBe(true);
      expect(isZeroPage(page)).toBe(false);
      page[at] = 0;
    }
  });

  test('hashPage() changes with any single bit', () => {
    for (const content of [noise(7, PAGE_BYTES), new Uint8Array(PAGE_BYTES).fill(255)]) {
      const seen = new Set<bigint>([kernelHash(content, 3)]);
      const page = pageOf(block, 0);
      for (let bit = 0; bit < PAGE_BYTES * 8; bit += 1) {
        page[bit >> 3] = content[bit >> 3]! ^ (1 << (bit & 7));
        seen.add(kernels.hashPage(layout.ram, 3));
        page[bit >> 3] = content[bit >> 3]!;
      }
      // No two of them are alike either.
      expect(seen.size).toBe(PAGE_BYTES * 8 + 1);
    }
  });

  test.each([4, 8, 16, 32, 64, 256])(
    'hashPage() changes when two different pieces of %i bytes are swapped',
    (pieceBytes) => {
      const random = new Random(pieceBytes);
      const page = noise(11, PAGE_BYTES);
      const before = kernelHash(page, 5);
      const pieces = PAGE_BYTES / pieceBytes;
      for (let round = 0; round < 2000; round += 1) {
        const [first, second] = [random.below(pieces), random.below(pieces)];
        if (first === second) continue;
        const swapped = pageOf(block, 0);
        swapped.set(page);
        swapped.set(piece(page, second, pieceBytes), first * pieceBytes);
        swapped.set(piece(page, first, pieceBytes), second * pieceBytes);
        expect(unsigned(kernels.hashPage(layout.ram, 5)) === before).toBe(false);
      }
    },
  );

  test('hashPage() changes when two pages are swapped', () => {
    fc.assert(
      fc.property(pageRecipe, pfnNumber, pfnNumber, (recipe, pfn, otherPfn) => {
        const page = makePage(recipe);
        fc.pre(pfn !== otherPfn && !isZeroPage(page));
        expect(kernelHash(page, pfn)).not.toBe(kernelHash(page, otherPfn));
      }),
    );
  });

  test('hashPage() keeps pages apart that differ in a few counters, as a guest writes them', () => {
    const seen = new Set<bigint>();
    const page = pageOf(block, 0).fill(0);
    for (let count = 1; count <= 20_000; count += 1) {
      page.writeUInt32LE(count, 0);
      page.writeUInt32LE(count * 3, 2048);
      seen.add(kernels.hashPage(layout.ram, 9));
    }
    expect(seen.size).toBe(20_000);
  });
});

describe('docs/protocol.md, Page hash', () => {
  const path = new URL('../../../docs/protocol.md', import.meta.url);
  const section = readFileSync(path, 'utf8').split('## Page hash')[1]!.split('\n## ')[0]!;
  const pages: Readonly<Record<string, Uint8Array>> = {
    zeros: new Uint8Array(PAGE_BYTES),
    'zeros, but octet 0 is 1': makePage({ kind: 'one-byte', at: 0, value: 1 }),
    'octet i is i mod 256': Uint8Array.from({ length: PAGE_BYTES }, (_, index) => index & 255),
    'every octet is FF': makePage({ kind: 'filled', value: 255 }),
  };
  const rows = [...section.matchAll(/^\| (.+) \| ([\d,]+|any) \| `([0-9a-f]{16})` \|$/gm)];

  test('has examples', () => {
    expect(rows).toHaveLength(6);
  });

  test.each(rows.map(([, page, pfn, hash]) => [page!, pfn!, hash!]))(
    'says of the page (%s), number %s, what the kernel does: %s',
    (page, pfn, hash) => {
      const number = pfn === 'any' ? 12_345 : Number(pfn.replaceAll(',', ''));
      const actual = kernelHash(pages[page]!, number);
      expect(actual.toString(16).padStart(16, '0')).toBe(hash);
    },
  );
});

describe('copyAndHash()', () => {
  test('copyAndHash() copies the page, returns its hash and writes nothing else', () => {
    fc.assert(
      fc.property(pageRecipe, pfnNumber, fc.nat({ max: 31 }), (recipe, pfn, offset) => {
        const page = makePage(recipe);
        const to = bodyAddress(block, 1) + offset;
        const around = block.bytes.subarray(to - 16, to + PAGE_BYTES + 16).fill(0xa5);
        block.bytes.set(page, layout.ram);
        expect(unsigned(kernels.copyAndHash(layout.ram, to, pfn))).toBe(pageHash(page, pfn));
        expect(around.subarray(16, 16 + PAGE_BYTES).equals(page)).toBe(true);
        const canary = Buffer.alloc(16, 0xa5);
        expect(around.subarray(0, 16).equals(canary)).toBe(true);
        expect(around.subarray(16 + PAGE_BYTES).equals(canary)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe('crc32c()', () => {
  test('crc32c() is that of the protocol for any length and alignment', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 15 }), (bytes, offset) => {
        const at = bodyAddress(block) + offset;
        block.bytes.set(bytes, at);
        expect(kernels.crc32c(at, bytes.length) >>> 0).toBe(crc32c(bytes));
      }),
      { numRuns: 200 },
    );
  });
});

function piece(page: Uint8Array, index: number, bytes: number): Uint8Array {
  return page.subarray(index * bytes, (index + 1) * bytes);
}
