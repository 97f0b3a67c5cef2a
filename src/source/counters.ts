import {
  type CompressionCounters,
  type GhostCache,
  type MigrationInfo,
  PAGE_BYTES,
  type PassRecord,
  type XbzrleCounters,
} from '../base/index.ts';
import type { CompressResult, GatherResult } from '../guestmem/index.ts';
import { FRAME_HEADER_BYTES, PAGE_ENTRY_BYTES } from '../protocol/index.ts';

/** Sums over frames of a pass, or of the migration. */
export interface PageTotals {
  frames: number;
  wireBytes: number;
  zeroPages: number;
  rawPages: number;
  xbzrlePages: number;
  unchangedPages: number;
  /** Table entries of zero runs. */
  zeroBytes: number;
  xbzrleBytes: number;
  lz4Pages: number;
  lz4Bytes: number;
  /** Deltas that went as LZ4, and what they were before. */
  lz4XbzrlePages: number;
  lz4XbzrleBytes: number;
  lz4XbzrleBytesBefore: number;
  /** Pages and deltas in frames for which no helper was free. */
  busyPages: number;
  hitPages: number;
  missPages: number;
  conflictPages: number;
  overflowPages: number;
  primedPages: number;
  encodeMs: number;
}

export function emptyTotals(): PageTotals {
  return {
    frames: 0,
    wireBytes: 0,
    zeroPages: 0,
    rawPages: 0,
    xbzrlePages: 0,
    unchangedPages: 0,
    zeroBytes: 0,
    xbzrleBytes: 0,
    lz4Pages: 0,
    lz4Bytes: 0,
    lz4XbzrlePages: 0,
    lz4XbzrleBytes: 0,
    lz4XbzrleBytesBefore: 0,
    busyPages: 0,
    hitPages: 0,
    missPages: 0,
    conflictPages: 0,
    overflowPages: 0,
    primedPages: 0,
    encodeMs: 0,
  };
}

function sentPages(totals: PageTotals): number {
  const { zeroPages, rawPages, xbzrlePages, lz4Pages, lz4XbzrlePages } = totals;
  return zeroPages + rawPages + xbzrlePages + lz4Pages + lz4XbzrlePages;
}

export function handledPages(totals: PageTotals): number {
  return sentPages(totals) + totals.unchangedPages;
}

export function addFrame(totals: PageTotals, frame: GatherResult, encodeMs: number): void {
  if (frame.bodyBytes > 0) {
    totals.frames += 1;
    totals.wireBytes += FRAME_HEADER_BYTES + frame.bodyBytes;
  }
  totals.zeroPages += frame.zeroPages;
  totals.rawPages += frame.rawPages;
  totals.xbzrlePages += frame.xbzrlePages;
  totals.unchangedPages += frame.unchangedPages;
  const wholeEntries = frame.rawPages + frame.xbzrlePages + frame.lz4Pages;
  totals.zeroBytes += frame.tableBytes - wholeEntries * PAGE_ENTRY_BYTES;
  totals.xbzrleBytes += frame.xbzrleBytes;
  totals.lz4Pages += frame.lz4Pages;
  totals.lz4Bytes += frame.lz4Bytes;
  totals.hitPages += frame.hitPages;
  totals.missPages += frame.missPages;
  totals.conflictPages += frame.conflictPages;
  totals.overflowPages += frame.overflowPages;
  totals.primedPages += frame.primedPages;
  totals.encodeMs += encodeMs;
}

/** What the codec made of a frame that was counted as it was before. */
export function addCompressed(
  totals: PageTotals,
  frame: GatherResult,
  made: CompressResult,
  encodeMs: number,
): void {
  totals.wireBytes -= frame.bodyBytes - made.bodyBytes;
  totals.rawPages -= made.lz4Pages;
  totals.lz4Pages += made.lz4Pages;
  totals.lz4Bytes += made.lz4Bytes;
  totals.xbzrlePages -= made.lz4Deltas;
  totals.xbzrleBytes -= made.lz4DeltaBytesBefore;
  totals.lz4XbzrlePages += made.lz4Deltas;
  totals.lz4XbzrleBytes += made.lz4DeltaBytes;
  totals.lz4XbzrleBytesBefore += made.lz4DeltaBytesBefore;
  totals.encodeMs += encodeMs;
}

export function addTotals(sum: PageTotals, more: PageTotals): void {
  for (const key of Object.keys(sum) as (keyof PageTotals)[]) sum[key] += more[key];
}

/** Pages sent in one pass, as they are counted while it runs. */
export interface PassCounters {
  readonly pass: number;
  readonly stopped: boolean;
  readonly startMs: number;
  readonly dirtyPages: number;
  readonly totals: PageTotals;
  /** Bitmap syncs within the pass. */
  syncs: number;
}

/** Of a pass, or since the last sync that ended one. */
export interface DirtiedPages {
  /** Pages that were clean and are dirty. */
  readonly dirtied: number;
  /** Different pages that were written, before or after their turn. */
  readonly written: number;
}

export function passRecord(
  counters: PassCounters,
  nowMs: number,
  dirtied: DirtiedPages,
  expectedDowntimeMs: number | undefined,
): PassRecord {
  const { totals } = counters;
  const durationMs = nowMs - counters.startMs;
  const pages = handledPages(totals);
  return {
    pass: counters.pass,
    stopped: counters.stopped,
    startMs: counters.startMs,
    durationMs,
    dirtyPages: counters.dirtyPages,
    sentPages: sentPages(totals),
    sentBytes: totals.wireBytes,
    zeroPages: totals.zeroPages,
    rawPages: totals.rawPages,
    xbzrlePages: totals.xbzrlePages,
    lz4Pages: totals.lz4Pages,
    lz4XbzrlePages: totals.lz4XbzrlePages,
    unchangedPages: totals.unchangedPages,
    dirtiedPages: dirtied.dirtied,
    writtenPages: dirtied.written,
    syncs: counters.syncs,
    effectiveBytesPerSecond: durationMs > 0 ? (pages * PAGE_BYTES * 1000) / durationMs : 0,
    expectedDowntimeMs: expectedDowntimeMs ?? Number.NaN,
  };
}

/** Of all deltas on the wire, whatever became of them. */
function deltaBytes(totals: PageTotals): number {
  const pages = totals.xbzrlePages + totals.lz4XbzrlePages;
  return totals.xbzrleBytes + totals.lz4XbzrleBytes + pages * PAGE_ENTRY_BYTES;
}

/** Undefined while nothing was compressed: QEMU's reply has none then, either. */
export function compressionCounters(
  all: PageTotals,
  last: PageTotals,
): CompressionCounters | undefined {
  const pages = all.lz4Pages + all.lz4XbzrlePages;
  if (pages === 0) return undefined;
  const before = all.lz4Pages * PAGE_BYTES + all.lz4XbzrleBytesBefore;
  const compressedBytes = all.lz4Bytes + all.lz4XbzrleBytes;
  const lastPages = last.lz4Pages + last.lz4XbzrlePages;
  return {
    pages,
    busyPages: all.busyPages,
    busyRate: lastPages === 0 ? 0 : last.busyPages / lastPages,
    compressedBytes,
    compressionRate: before / compressedBytes,
    savedBytes: before - compressedBytes,
  };
}

/** On the wire, page table entries included. */
export function pageKinds(all: PageTotals): MigrationInfo['pageKinds'] {
  const kind = (pages: number, bytes: number) => ({
    pages,
    bytes: bytes + pages * PAGE_ENTRY_BYTES,
  });
  return {
    zero: { pages: all.zeroPages, bytes: all.zeroBytes },
    raw: kind(all.rawPages, all.rawPages * PAGE_BYTES),
    xbzrle: kind(all.xbzrlePages, all.xbzrleBytes),
    lz4: kind(all.lz4Pages, all.lz4Bytes),
    'lz4-xbzrle': kind(all.lz4XbzrlePages, all.lz4XbzrleBytes),
    unchanged: { pages: all.unchangedPages, bytes: 0 },
  };
}

/** The XBZRLE cache as it is sized, over all blocks. */
export interface CacheShape {
  readonly cacheBytes: number;
  readonly ways: number;
  readonly ghosts: readonly GhostCache[];
}

export function xbzrleCounters(
  shape: CacheShape,
  all: PageTotals,
  last: PageTotals,
): XbzrleCounters {
  const lookups = last.hitPages + last.missPages;
  const deltaPages = last.xbzrlePages + last.lz4XbzrlePages;
  const deltaWireBytes = deltaBytes(last);
  const deltas = all.xbzrlePages + all.lz4XbzrlePages;
  const wholeBytes = (deltas + all.unchangedPages) * (PAGE_BYTES + PAGE_ENTRY_BYTES);
  const encodedBytes = deltaBytes(all);
  return {
    ...shape,
    encodedBytes,
    hitPages: all.hitPages,
    missPages: all.missPages,
    conflictPages: all.conflictPages,
    overflowPages: all.overflowPages,
    primedPages: all.primedPages,
    savedBytes: wholeBytes - encodedBytes,
    missRate: lookups === 0 ? 0 : last.missPages / lookups,
    encodingRate: deltaWireBytes === 0 ? 0 : (deltaPages * PAGE_BYTES) / deltaWireBytes,
  };
}
