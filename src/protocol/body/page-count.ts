import { PAGE_BYTES, RAM_BYTES_MAX } from '../../base/index.ts';

/** Pages of the largest guest. */
export const PAGE_COUNT_MAX = RAM_BYTES_MAX / PAGE_BYTES;
/** Counters that only grow: passes, batches, sequence numbers. */
export const UINT32_MAX = 2 ** 32 - 1;
