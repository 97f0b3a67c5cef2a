import { PAGE_BYTES } from '../../../../src/base/index.ts';
import type { ChangeSample, Trace } from '../../../../src/guestmem/index.ts';

export interface SweepOptions {
  readonly ramPages: number;
  readonly hotPages: number;
  /** Of each interval of 10 ms. */
  readonly pagesPerInterval: number;
  readonly intervals?: number;
  /** Bytes that a write changes in its page, as an XBZRLE delta. */
  readonly deltaBytes?: number;
  /** Of its time, what its vCPU runs for. Default 1. */
  readonly busyShare?: number;
  readonly zeroShare?: number;
  /** Of a page that is not zero. */
  readonly lz4Bytes?: number;
}

/** The trace of a guest that sweeps over its hot pages. */
export function sweep(options: SweepOptions): Trace {
  const { hotPages, pagesPerInterval } = options;
  return writer(options, (interval) =>
    Array.from(
      { length: pagesPerInterval },
      (_page, index) => (interval * pagesPerInterval + index) % hotPages,
    ),
  );
}

/** Pages that are written in an interval; one that is written twice counts once. */
export type Writes = (interval: number) => readonly number[];

export type WriterOptions = Omit<SweepOptions, 'hotPages' | 'pagesPerInterval'>;

/** The trace of a guest of which is said what it writes. */
export function writer(options: WriterOptions, writes: Writes): Trace {
  const { ramPages, intervals = 100, busyShare = 1 } = options;
  const { deltaBytes = PAGE_BYTES, zeroShare = 0, lz4Bytes = PAGE_BYTES } = options;
  const change: ChangeSample = {
    pfn: 0,
    lag: 1,
    changedBytes: deltaBytes,
    xbzrleBytes: deltaBytes,
    lz4Bytes,
    deltaLz4Bytes: deltaBytes,
  };
  return {
    header: {
      ramBlocks: [{ name: 'ram0', bytes: ramPages * PAGE_BYTES }],
      vcpuCount: 1,
      workload: 'sweep',
      intervalMs: 10,
    },
    populated: new Uint8Array(ramPages / 8).fill(0xff),
    contents: Array.from({ length: 100 }, (_, index) => ({
      pfn: index,
      lz4Bytes: index < zeroShare * 100 ? 0 : lz4Bytes,
    })),
    intervals: Array.from({ length: intervals }, (_, interval) => {
      const pages = writes(interval);
      return {
        spanMs: 10,
        busyShare,
        pages: Uint32Array.from(new Set(pages)).sort(),
        changes: pages.length > 0 ? [change] : [],
      };
    }),
  };
}
