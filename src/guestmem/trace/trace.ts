import { PAGE_BYTES, SternaError } from '../../base/index.ts';
import type { RamBlockDescription } from '../machine.ts';

/** What a guest dirtied, interval by interval, and in what way (docs/trace.md). */
export interface Trace {
  readonly header: TraceHeader;
  /** A bit for each guest page that had ever been written when the trace began. */
  readonly populated: Uint8Array;
  /** What lies in some of those pages. */
  readonly contents: readonly ContentSample[];
  readonly intervals: readonly TraceInterval[];
}

export interface TraceHeader {
  readonly ramBlocks: readonly RamBlockDescription[];
  readonly vcpuCount: number;
  /** What the guest did, in its own words (a workload's SPEC); empty when it has none. */
  readonly workload: string;
  /** As it was asked for; each interval tells its own length. */
  readonly intervalMs: number;
}

export interface TraceInterval {
  readonly spanMs: number;
  /** Of its time, what the busiest vCPU ran guest code for; 0 to 1, in thousandths. */
  readonly busyShare: number;
  /** Guest pages that were dirtied in it, ascending. */
  readonly pages: Uint32Array;
  readonly changes: readonly ChangeSample[];
}

/** One page as it lay in RAM. */
export interface ContentSample {
  readonly pfn: number;
  /** 0: it holds only zeros; PAGE_BYTES: it does not get smaller. */
  readonly lz4Bytes: number;
}

/** What became of one page between two looks at it. */
export interface ChangeSample {
  readonly pfn: number;
  /** Intervals between the two. */
  readonly lag: number;
  readonly changedBytes: number;
  /** Length of the XBZRLE delta; 0: the same bytes; PAGE_BYTES: no smaller than the page. */
  readonly xbzrleBytes: number;
  /** Of the whole page as it is now. */
  readonly lz4Bytes: number;
  /** Of the delta; the delta's length when that does not get smaller. */
  readonly deltaLz4Bytes: number;
}

export function tracePages({ ramBlocks }: Pick<TraceHeader, 'ramBlocks'>): number {
  return ramBlocks.reduce((pages, { bytes }) => pages + bytes / PAGE_BYTES, 0);
}

/** What is wrong with a trace, and where. */
export function traceError(
  message: string,
  detail: Readonly<Record<string, unknown>> = {},
): SternaError {
  return new SternaError('E_TRACE', message, { detail });
}
