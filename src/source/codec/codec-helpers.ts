import type { CompressRequest, CompressResult, RamBlock } from '../../guestmem/index.ts';

/**
 * Other threads that compress bodies of frames where they lie. The engine asks for them; who starts
 * it brings them, or none.
 */
export interface CodecHelpers {
  /** How many threads there can be; 0 where cores do not allow any. */
  readonly count: number;
  /** Now running: they start at the first `prepare`, which returns at once. */
  readonly ready: number;
  /** Bodies that are not finished. */
  readonly underWay: number;
  prepare(): void;
  /** Rejects with E_WORKER_DIED; the body is then of no use. */
  compress(block: RamBlock, request: CompressRequest): Promise<TimedResult>;
  /** Ends them. No helper writes to the guest's memory after that. */
  close(): Promise<void>;
}

export interface TimedResult {
  readonly made: CompressResult;
  readonly ms: number;
}
