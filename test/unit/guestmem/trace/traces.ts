import type { Trace } from '../../../../src/guestmem/index.ts';

export const SMALL_TRACE: Trace = {
  header: {
    ramBlocks: [
      { name: 'ram0', bytes: 40 * 4096 },
      { name: 'ram1', bytes: 9 * 4096 },
    ],
    vcpuCount: 2,
    workload: 'memwrite,fill=64K',
    intervalMs: 50,
  },
  populated: Uint8Array.from([0xff, 0xff, 0, 0, 0, 0, 1]),
  contents: [
    { pfn: 0, lz4Bytes: 0 },
    { pfn: 15, lz4Bytes: 4096 },
  ],
  intervals: [
    { spanMs: 50.125, busyShare: 0.125, pages: Uint32Array.of(), changes: [] },
    {
      spanMs: 51,
      busyShare: 1,
      pages: Uint32Array.of(0, 1, 2, 3, 17, 48),
      changes: [
        {
          pfn: 17,
          lag: 1,
          changedBytes: 32,
          xbzrleBytes: 60,
          lz4Bytes: 3000,
          deltaLz4Bytes: 55,
        },
      ],
    },
  ],
};
