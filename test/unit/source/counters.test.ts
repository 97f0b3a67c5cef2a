import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import type { CompressResult, GatherResult } from '../../../src/guestmem/index.ts';
import {
  addCompressed,
  addFrame,
  addTotals,
  compressionCounters,
  emptyTotals,
  handledPages,
  pageKinds,
  passRecord,
  xbzrleCounters,
} from '../../../src/source/counters.ts';

const FRAME: GatherResult = {
  bodyBytes: 9000,
  // One run of zeros, and the pages that are neither zero nor unchanged.
  tableBytes: 96,
  tableCrc: 1,
  zeroPages: 5,
  rawPages: 2,
  xbzrlePages: 3,
  unchangedPages: 4,
  xbzrleBytes: 300,
  hitPages: 8,
  missPages: 2,
  conflictPages: 1,
  overflowPages: 1,
  primedPages: 1,
  lz4Pages: 0,
  lz4Bytes: 0,
};

/** Nothing changed, so nothing was sent. */
const UNCHANGED: GatherResult = {
  ...FRAME,
  bodyBytes: 0,
  tableBytes: 0,
  zeroPages: 0,
  rawPages: 0,
  xbzrlePages: 0,
  xbzrleBytes: 0,
};

function totalsOf(...frames: readonly GatherResult[]) {
  const totals = emptyTotals();
  for (const frame of frames) addFrame(totals, frame, 1.5);
  return totals;
}

describe('addFrame()', () => {
  test('addFrame() counts header and body of what was sent, and pages by kind', () => {
    expect(totalsOf(FRAME, FRAME)).toEqual({
      frames: 2,
      wireBytes: 2 * (32 + 9000),
      zeroPages: 10,
      rawPages: 4,
      xbzrlePages: 6,
      unchangedPages: 8,
      zeroBytes: 32,
      xbzrleBytes: 600,
      lz4Pages: 0,
      lz4Bytes: 0,
      lz4XbzrlePages: 0,
      lz4XbzrleBytes: 0,
      lz4XbzrleBytesBefore: 0,
      busyPages: 0,
      hitPages: 16,
      missPages: 4,
      conflictPages: 2,
      overflowPages: 2,
      primedPages: 2,
      encodeMs: 3,
    });
  });

  test('addFrame() counts pages that went as LZ4 instead of a long delta', () => {
    // Two of three deltas.
    const frame = { ...FRAME, xbzrlePages: 1, lz4Pages: 2, lz4Bytes: 2500 };
    const totals = totalsOf(frame);
    expect([totals.lz4Pages, totals.lz4Bytes, totals.zeroBytes]).toEqual([2, 2500, 16]);
    expect(handledPages(totals)).toBe(handledPages(totalsOf(FRAME)));
  });

  test('addFrame() counts no frame and no bytes when nothing was sent', () => {
    const totals = totalsOf(UNCHANGED);
    expect([totals.frames, totals.wireBytes, totals.unchangedPages]).toEqual([0, 0, 4]);
    expect(handledPages(totals)).toBe(4);
  });

  test('addTotals() adds every counter', () => {
    const sum = totalsOf(FRAME);
    addTotals(sum, totalsOf(FRAME));
    expect(sum).toEqual(totalsOf(FRAME, FRAME));
  });
});

describe('passRecord()', () => {
  const counters = {
    pass: 3,
    stopped: false,
    startMs: 1000,
    dirtyPages: 14,
    totals: totalsOf(FRAME),
    syncs: 5,
  };

  test('passRecord() counts unchanged pages as handled, not as sent', () => {
    expect(passRecord(counters, 1007, { dirtied: 6, written: 9 }, 25)).toEqual({
      pass: 3,
      stopped: false,
      startMs: 1000,
      durationMs: 7,
      dirtyPages: 14,
      sentPages: 10,
      sentBytes: 9032,
      zeroPages: 5,
      rawPages: 2,
      xbzrlePages: 3,
      lz4Pages: 0,
      lz4XbzrlePages: 0,
      unchangedPages: 4,
      dirtiedPages: 6,
      writtenPages: 9,
      syncs: 5,
      effectiveBytesPerSecond: (14 * PAGE_BYTES * 1000) / 7,
      expectedDowntimeMs: 25,
    });
  });

  test('passRecord() gives no rate to a pass that took no time', () => {
    const record = passRecord(counters, 1000, { dirtied: 0, written: 0 }, undefined);
    expect(record.effectiveBytesPerSecond).toBe(0);
    expect(record.expectedDowntimeMs).toBeNaN();
  });
});

describe('xbzrleCounters()', () => {
  const SHAPE = { cacheBytes: 65_536, ways: 2, ghosts: [{ cacheBytes: 16_384, hitRate: 0.5 }] };

  test('xbzrleCounters() sums over the migration, with rates of the last pass', () => {
    const counters = xbzrleCounters(SHAPE, totalsOf(FRAME, FRAME), totalsOf(FRAME));
    expect(counters).toEqual({
      ...SHAPE,
      encodedBytes: 600 + 6 * 16,
      hitPages: 16,
      missPages: 4,
      conflictPages: 2,
      overflowPages: 2,
      primedPages: 2,
      // Six deltas and eight pages that were as they had been sent.
      savedBytes: 14 * (PAGE_BYTES + 16) - (600 + 6 * 16),
      missRate: 0.2,
      encodingRate: (3 * PAGE_BYTES) / (300 + 3 * 16),
    });
  });

  test('xbzrleCounters() divides by nothing when nothing was looked up', () => {
    const counters = xbzrleCounters(SHAPE, emptyTotals(), emptyTotals());
    expect([counters.missRate, counters.encodingRate]).toEqual([0, 0]);
  });
});

describe('addCompressed()', () => {
  const MADE: CompressResult = {
    bodyBytes: 5000,
    tableCrc: 2,
    triedPages: 2,
    lz4Pages: 1,
    lz4Bytes: 700,
    triedDeltas: 3,
    triedDeltaBytes: 300,
    lz4Deltas: 2,
    lz4DeltaBytesBefore: 250,
    lz4DeltaBytes: 100,
  };

  test('addCompressed() moves what became shorter to its new kind, and loses no page', () => {
    const totals = totalsOf(FRAME);
    const handled = handledPages(totals);
    addCompressed(totals, FRAME, MADE, 2.5);
    expect(handledPages(totals)).toBe(handled);
    expect(totals).toMatchObject({
      wireBytes: 32 + 5000,
      rawPages: 1,
      lz4Pages: 1,
      lz4Bytes: 700,
      xbzrlePages: 1,
      xbzrleBytes: 50,
      lz4XbzrlePages: 2,
      lz4XbzrleBytes: 100,
      encodeMs: 4,
    });
    expect(pageKinds(totals)).toMatchObject({
      zero: { pages: 5, bytes: 16 },
      lz4: { pages: 1, bytes: 716 },
      'lz4-xbzrle': { pages: 2, bytes: 132 },
    });
  });

  test('compressionCounters() has the names and the ratio of QEMU, and nothing before', () => {
    const totals = totalsOf(FRAME);
    expect(compressionCounters(totals, totals)).toBeUndefined();
    addCompressed(totals, FRAME, MADE, 0);
    totals.busyPages = 3;
    expect(compressionCounters(totals, totals)).toEqual({
      pages: 3,
      busyPages: 3,
      busyRate: 1,
      compressedBytes: 800,
      compressionRate: (PAGE_BYTES + 250) / 800,
      savedBytes: PAGE_BYTES + 250 - 800,
    });
  });
});
