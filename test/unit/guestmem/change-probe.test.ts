import { expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { ChangeProbe, type RamBlock } from '../../../src/guestmem/index.ts';
import { pageOfNoise } from '../../support/guest-script.ts';
import { pageOf, testBlock } from '../../support/test-block.ts';

const PAGES = 64;
/** Two milliseconds go by between any two looks at it. */
function tickingClock(): () => number {
  let nowMs = 0;
  return () => {
    nowMs += 2;
    return nowMs;
  };
}

function noisyBlock(): RamBlock {
  const block = testBlock(PAGES);
  for (let pfn = 0; pfn < PAGES; pfn += 1) pageOf(block, pfn).set(pageOfNoise(pfn));
  return block;
}

function setDirty(block: RamBlock, pfns: Iterable<number>): void {
  const bitmap = block.dirtyPages().fill(0);
  for (const pfn of pfns) bitmap[pfn >>> 3] = (bitmap[pfn >>> 3] ?? 0) | (1 << (pfn & 7));
  block.setDirty(bitmap);
}

const ALL = Array.from({ length: PAGES }, (_, pfn) => pfn);

test('tells how short the deltas of pages are that are dirty again, and only of those', () => {
  const block = noisyBlock();
  setDirty(block, ALL);
  const probe = new ChangeProbe(block);
  expect(probe.copy(16)).toBe(16);
  // Of the pages that were copied, each fourth one, half are written: 4 bytes each.
  const written = ALL.filter((pfn) => pfn % 8 === 0);
  for (const pfn of written) {
    const start = pageOf(block, pfn).subarray(0, 4);
    start.set(start.map((byte) => byte ^ 0xff));
  }
  setDirty(block, written);
  const seen = probe.compare(tickingClock());
  expect(seen.pages).toBe(8);
  // Lengths of the equal and of the changed run, a byte each, and the change.
  expect(seen.deltaBytes).toBe(8 * (2 + 4));
  // Noise gets no shorter.
  expect(seen.lz4Bytes).toBe(8 * PAGE_BYTES);
  expect(seen.lz4Ms).toBe(8 * 2);
});

test('a page that was rewritten counts whole as a delta, and as short as LZ4 makes it', () => {
  const block = noisyBlock();
  setDirty(block, [5]);
  const probe = new ChangeProbe(block);
  probe.copy(16);
  pageOf(block, 5).fill('the same words again and again; ');
  const seen = probe.compare(tickingClock());
  expect(seen.pages).toBe(1);
  expect(seen.deltaBytes).toBe(PAGE_BYTES);
  expect(seen.lz4Bytes).toBeLessThan(128);
});

test('an unchanged page is a delta of no bytes', () => {
  const block = noisyBlock();
  setDirty(block, [7, 9]);
  const probe = new ChangeProbe(block);
  probe.copy(16);
  expect(probe.compare(tickingClock())).toMatchObject({ pages: 2, deltaBytes: 0 });
});

test('nothing is dirty: nothing is copied, and older copies are gone', () => {
  const block = noisyBlock();
  setDirty(block, [7, 9]);
  const probe = new ChangeProbe(block);
  expect(probe.copy(16)).toBe(2);
  setDirty(block, []);
  expect(probe.copy(16)).toBe(0);
  setDirty(block, ALL);
  expect(probe.compare(tickingClock()).pages).toBe(0);
});

test('neither RAM nor what is dirty is touched', () => {
  const block = noisyBlock();
  setDirty(block, ALL);
  const before = Buffer.from(block.ram);
  const probe = new ChangeProbe(block);
  probe.copy(16);
  probe.compare(tickingClock());
  expect(block.ram.equals(before)).toBe(true);
  expect(block.countDirty()).toBe(PAGES);
});
