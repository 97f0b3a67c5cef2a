import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { HalfImage } from '../../../src/control/half-image/half-image.ts';
import { HALF_PIECE_PAGES, piecesOf } from '../../../src/control/half-image/half-layout.ts';
import { writeHalf } from '../../../src/control/half-image/half-writer.ts';
import { GuestMemory } from '../../../src/guestmem/index.ts';
import { FAKE_BLOCKS } from '../../support/fake-machine.ts';
import { halfGuest } from '../../support/half-guest.ts';

const directory = mkdtempSync(join(tmpdir(), 'sterna-half-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const guest = halfGuest();
const pages = fc.tuple(
  ...FAKE_BLOCKS.map(({ bytes }) =>
    fc.uniqueArray(fc.nat({ max: Math.min(260, bytes / PAGE_BYTES - 1) }), { maxLength: 300 }),
  ),
);

test('whatever pages a half has, they come back, and no other page is touched', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(pages, async (wanted) => {
      run += 1;
      const path = join(directory, `${run}.half`);
      await writeHalf(path, guest.half('source', wanted));
      const image = await HalfImage.open(path);
      const memory = GuestMemory.allocate(FAKE_BLOCKS, 2);
      expect(await image.load(memory)).toBe(wanted.flat().length);
      await image.close();
      for (const [index, block] of memory.blocks.entries()) {
        const expected = Buffer.alloc(block.ram.length);
        for (const pfn of wanted[index] ?? []) {
          const at = pfn * PAGE_BYTES;
          guest.machine.block(index).ram.copy(expected, at, at, at + PAGE_BYTES);
        }
        expect(block.ram.equals(expected)).toBe(true);
      }
      rmSync(path);
    }),
    { numRuns: 25 },
  );
});

test('piecesOf() covers each wanted page once, in order, and none is longer than a piece', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 400 }), (wanted) => {
      const pieces = [...piecesOf(wanted.length, (pfn) => wanted[pfn] === true)];
      const covered = pieces.flatMap(({ first, count }) =>
        Array.from({ length: count }, (_, offset) => first + offset),
      );
      expect(covered).toEqual([...wanted.keys()].filter((pfn) => wanted[pfn]));
      expect(pieces.every(({ count }) => count >= 1 && count <= HALF_PIECE_PAGES)).toBe(true);
    }),
  );
});
