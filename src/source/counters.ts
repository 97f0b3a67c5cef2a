import {
  type GhostCache,
  PAGE_BYTES,
  type PassRecord,
  type XbzrleCounters,
} from '../base/index.ts';
import type { GatherResult } from '../guestmem/index.ts';
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
    hitPages: 0,
    missPages: 0,
    conflictPages: 0,
    overflowPages: 0,
    primedPages: 0,
    encodeMs: 0,
  };
}

export function handledPages(totals: PageTotals): number {
  return totals.zeroPages + totals.rawPages + totals.xbzrlePages + totals.unchangedPages;
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
  totals.zeroBytes += frame.tableBytes - (frame.rawPages + frame.xbzrlePages) * PAGE_ENTRY_BYTES;
  totals.xbzrleBytes += frame.xbzrleBytes;
  totals.hitPages += frame.hitPages;
  totals.missPages += frame.missPages;
  totals.conflictPages += frame.conflictPages;
  totals.overflowPages += frame.overflowPages;
  totals.primedPages += frame.primedPages;
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
    sentPages: pages - totals.unchangedPages,
    sentBytes: totals.wireBytes,
    zeroPages: totals.zeroPages,
    rawPages: totals.rawPages,
    xbzrlePages: totals.xbzrlePages,
    unchangedPages: totals.unchangedPages,
    dirtiedPages: dirtied.dirtied,
    writtenPages: dirtied.written,
    syncs: counters.syncs,
    effectiveBytesPerSecond: durationMs > 0 ? (pages * PAGE_BYTES * 1000) / durationMs : 0,
    expectedDowntimeMs: expectedDowntimeMs ?? Number.NaN,
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
  const deltaWireBytes = last.xbzrleBytes + last.xbzrlePages * PAGE_ENTRY_BYTES;
  const wholeBytes = (all.xbzrlePages + all.unchangedPages) * (PAGE_BYTES + PAGE_ENTRY_BYTES);
  const encodedBytes = all.xbzrleBytes + all.xbzrlePages * PAGE_ENTRY_BYTES;
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
    encodingRate: deltaWireBytes === 0 ? 0 : (last.xbzrlePages * PAGE_BYTES) / deltaWireBytes,
  };
}
