import { PAGE_BYTES, type PassRecord, type XbzrleCounters } from '../base/index.ts';
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
}

export function passRecord(
  counters: PassCounters,
  nowMs: number,
  dirtiedPages: number,
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
    dirtiedPages,
    effectiveBytesPerSecond: durationMs > 0 ? (pages * PAGE_BYTES * 1000) / durationMs : 0,
    expectedDowntimeMs: expectedDowntimeMs ?? Number.NaN,
  };
}

export function xbzrleCounters(
  cacheBytes: number,
  all: PageTotals,
  last: PageTotals,
): XbzrleCounters {
  const lookups = last.hitPages + last.missPages;
  const deltaWireBytes = last.xbzrleBytes + last.xbzrlePages * PAGE_ENTRY_BYTES;
  return {
    cacheBytes,
    encodedBytes: all.xbzrleBytes + all.xbzrlePages * PAGE_ENTRY_BYTES,
    hitPages: all.hitPages,
    missPages: all.missPages,
    conflictPages: all.conflictPages,
    overflowPages: all.overflowPages,
    missRate: lookups === 0 ? 0 : last.missPages / lookups,
    encodingRate: deltaWireBytes === 0 ? 0 : (last.xbzrlePages * PAGE_BYTES) / deltaWireBytes,
  };
}
