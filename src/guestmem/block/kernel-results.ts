import type { ApplyOutcome } from '../page-kernels.ts';

/** What one gather made and counted. */
export interface GatherResult {
  /** 0: nothing has to be sent. */
  readonly bodyBytes: number;
  readonly tableBytes: number;
  readonly tableCrc: number;
  readonly zeroPages: number;
  readonly rawPages: number;
  readonly xbzrlePages: number;
  readonly unchangedPages: number;
  readonly xbzrleBytes: number;
  readonly hitPages: number;
  readonly missPages: number;
  readonly conflictPages: number;
  readonly overflowPages: number;
  /** Inserted into the cache without a lookup, because they are hot. */
  readonly primedPages: number;
  /** Pages that went as LZ4 because their delta would have been longer. */
  readonly lz4Pages: number;
  readonly lz4Bytes: number;
}

export interface ApplyResult {
  readonly outcome: ApplyOutcome;
  /** Page at which it failed. */
  readonly errorPfn: number;
  /** Pages that had not come before. */
  readonly newPages: number;
  /** Pages that were skipped because they had come already. */
  readonly duplicatePages: number;
  readonly zeroPages: number;
  readonly rawPages: number;
  readonly xbzrlePages: number;
  /** Of payload. */
  readonly xbzrleBytes: number;
  readonly lz4Pages: number;
  readonly lz4Bytes: number;
  readonly lz4XbzrlePages: number;
  readonly lz4XbzrleBytes: number;
}

/** What the codec made of the body of a frame. */
export interface CompressResult extends TryCounts {
  readonly bodyBytes: number;
  readonly tableCrc: number;
}

/** What was tried, and what of it is shorter as LZ4. Bytes are those of payloads. */
export interface TryCounts {
  readonly triedPages: number;
  readonly lz4Pages: number;
  readonly lz4Bytes: number;
  readonly triedDeltas: number;
  readonly triedDeltaBytes: number;
  readonly lz4Deltas: number;
  /** Before and after. */
  readonly lz4DeltaBytesBefore: number;
  readonly lz4DeltaBytes: number;
}

/** Pages that were put on the list of the next gather, and where to go on. */
export interface TakenPages {
  readonly count: number;
  readonly next: number;
}
