import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, SternaError } from '../../../../../src/base/index.ts';
import { busyBench, usedBench } from '../../../../support/board-guest.ts';

/**
 * States of a peer that is hostile: words of a real one are replaced, and the checksums are right.
 * Each is refused as a whole, or taken; and a board that took one works: it saves the same again,
 * polls, and answers every register.
 */

const state = busyBench().board.save();

const change = fc.record({
  section: fc.integer({ min: 1, max: state.length - 1 }),
  word: fc.nat(),
  value: fc.oneof(
    fc.constantFrom(0, 1, 2, 3, 4, 7, 0x40, 0x400, 0xffff, 0x8000_0000, 0x8000_1000, 0xffff_ffff),
    fc.nat(0xffff_ffff),
  ),
});

test('load() of a hostile state is all or nothing, and the board works after it', () => {
  let taken = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      const sections = state.map((section) => ({ ...section, bytes: section.bytes.slice() }));
      for (const { section, word, value } of changes) {
        const bytes = sections[section]?.bytes ?? new Uint8Array(8);
        const view = new DataView(bytes.buffer, 0, bytes.length - 4);
        view.setUint32((word % Math.floor(view.byteLength / 4)) * 4, value, true);
      }
      for (const { bytes } of sections) {
        const end = bytes.length - 4;
        new DataView(bytes.buffer).setUint32(end, crc32c(bytes.subarray(0, end)), true);
      }
      const bench = usedBench();
      const before = bench.block.bytes.slice();
      try {
        bench.board.load(sections);
      } catch (error) {
        if (!(error instanceof SternaError) || error.code !== 'E_MACHINE_STATE') throw error;
        expect(Buffer.compare(bench.block.bytes, before)).toBe(0);
        return;
      }
      taken += 1;
      const saved = bench.board.save();
      expect(
        saved.every(
          ({ bytes }, index) =>
            Buffer.compare(bytes, sections[index]?.bytes ?? bytes.subarray(1)) === 0,
        ),
      ).toBe(true);
      for (let turn = 0; turn < 3; turn += 1) bench.board.poll();
      for (let offset = 0; offset < 0x200; offset += 4) {
        for (const base of [0x1000_0000, 0x1000_1000, 0x1000_2000, 0x0c00_0000, 0x0c20_1000]) {
          bench.read32(base + (offset % 0x100));
        }
      }
      expect(() => usedBench().board.load(bench.board.save())).not.toThrow();
    }),
    { numRuns: 1500 },
  );
  // Both outcomes were seen.
  expect(taken).toBeGreaterThan(0);
});

test('load() refuses rubbish', () => {
  const section = fc.record({
    name: fc.oneof(fc.constantFrom(...state.map(({ name }) => name)), fc.string()),
    version: fc.constantFrom(0, 1, 2),
    bytes: fc.uint8Array({ maxLength: 600 }),
  });
  const bench = usedBench();
  fc.assert(
    fc.property(fc.array(section, { maxLength: 8 }), (sections) => {
      expect(() => bench.board.load(sections)).toThrow(SternaError);
    }),
    { numRuns: 500 },
  );
});
