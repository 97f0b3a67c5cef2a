import type { RamBlock } from '../../guestmem/index.ts';

/** Whose turn it is, when pages do not go ascending. */
export interface PageSupply {
  /** Resolves when the next pages may be chosen. */
  prepare(): Promise<void>;
  /** Where they are; undefined: all have been taken. */
  nextBlock(): RamBlock | undefined;
  /** Moves up to `max` of them to the list of the block's next gather. */
  take(block: RamBlock, max: number): number;
  /** Pages of this bucket of weights or a hotter one are inserted into the cache; 0: none. */
  readonly primeBucket: number;
  /** So are all others, where there is room. */
  readonly keepOthers: boolean;
}

/** How the frames of a pass are made. */
export interface BatchOptions {
  /** Look pages up in the XBZRLE cache. */
  readonly encode: boolean;
  /** Insert and update cached pages. */
  readonly keep: boolean;
  /** Age of cache entries: the count of bitmap syncs. */
  readonly age: number;
  /** False while the guest stands still: the limit is lifted, as in QEMU. */
  readonly limited: boolean;
  /** Asked before each frame: true leaves the rest dirty. */
  readonly until?: () => boolean;
}
