import { PAGE_BYTES } from '../../base/index.ts';
import { changedWords, oneOf, pagesOf, type WorkloadKeys, wholeNumber } from './workload-keys.ts';
import { WRITE_PATTERNS, type WritePattern } from './write-pattern.ts';

/**
 * A business system: a heap of records of a page each, a wide hot set in which transactions change
 * a few words of many records, and sessions whose clients wait for the end of each transaction. A
 * table in guest RAM keeps the last committed transaction of each session.
 */
export interface ErpSpec {
  readonly kind: 'erp';
  /** All records; filled with noise when the guest boots. */
  readonly heapBytes: number;
  /** Records that transactions touch: the first of the heap. */
  readonly hotBytes: number;
  readonly pattern: WritePattern;
  /** 4-byte words that an update changes in a record, and their distance. */
  readonly words: number;
  readonly stepBytes: number;
  /** Share of the accesses that only read. */
  readonly readPercent: number;
  /** Records that a transaction accesses. */
  readonly updates: number;
  /** Records that jobs of the system itself access, of all vCPUs together; 0: none. */
  readonly ratePagesPerSecond: number;
  readonly sessions: number;
}

export const ERP_KEYS = [
  ...['heap', 'hot', 'pattern', 'words', 'step', 'read', 'updates', 'rate', 'sessions'],
] as const;

/** The table of a vCPU is one page of 16 bytes for each session. */
const SESSIONS_MAX = 256;
const UPDATES_MAX = 1_000_000;

const HEAP_BYTES_DEFAULT = 64 * 2 ** 20;

export function buildErp(values: WorkloadKeys): ErpSpec {
  const heapBytes = pagesOf(values, 'heap', HEAP_BYTES_DEFAULT, PAGE_BYTES);
  return {
    kind: 'erp',
    heapBytes,
    hotBytes: pagesOf(values, 'hot', heapBytes, PAGE_BYTES, heapBytes),
    pattern: oneOf(values, 'pattern', WRITE_PATTERNS, 'random'),
    ...changedWords(values, 4),
    readPercent: wholeNumber(values, 'read', 0, 0, 100),
    updates: wholeNumber(values, 'updates', 100, 1, UPDATES_MAX),
    ratePagesPerSecond: wholeNumber(values, 'rate', 0, 0, 1e9),
    sessions: wholeNumber(values, 'sessions', 64, 1, SESSIONS_MAX),
  };
}

export function formatErp(spec: ErpSpec): string {
  return [
    'erp',
    `heap=${spec.heapBytes}`,
    `hot=${spec.hotBytes}`,
    `pattern=${spec.pattern}`,
    `words=${spec.words}`,
    `step=${spec.stepBytes}`,
    `read=${spec.readPercent}`,
    `updates=${spec.updates}`,
    `rate=${spec.ratePagesPerSecond}`,
    `sessions=${spec.sessions}`,
  ].join(',');
}
