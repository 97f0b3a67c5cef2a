import { COMPRESS_DELTAS, COMPRESS_PAGES } from '../page-kernels.ts';
import { LANE_WORDS, laneAddress } from './block-layout.ts';
import type { CompressResult, TryCounts } from './kernel-results.ts';
import type { RamBlock } from './ram-block.ts';

/** The body of a PAGE_BATCH that `gather` has made, and what of it is to become LZ4. */
export interface CompressRequest {
  /** Of the body in the block's memory. */
  readonly address: number;
  readonly bodyBytes: number;
  readonly tableBytes: number;
  readonly pages: boolean;
  readonly deltas: boolean;
  /** Of both; the rest stays as it is. */
  readonly maxTries: number;
}

/** A body of which only some pages and deltas are tried. */
export interface ProbeRequest {
  readonly address: number;
  readonly bodyBytes: number;
  readonly tableBytes: number;
  /** Every so many-th one of both. */
  readonly stride: number;
}

/**
 * Rewrites the body in place, with LZ4 for each page and delta that is shorter by it. Any thread
 * may do that while another one makes another frame: nothing is written but the body and the
 * `lane`, which belongs to one caller.
 */
export function compressBody(
  block: RamBlock,
  lane: number,
  request: CompressRequest,
): CompressResult {
  const { address, bodyBytes, tableBytes, pages, deltas, maxTries } = request;
  const mode = (pages ? COMPRESS_PAGES : 0) | (deltas ? COMPRESS_DELTAS : 0);
  block.kernels.compress(address, bodyBytes, tableBytes, laneAddress(lane), mode, maxTries);
  const words = wordsOf(block, lane);
  // The view has that many.
  return { bodyBytes: words[0] as number, tableCrc: words[1] as number, ...triesOf(words) };
}

/** What `compressBody` would gain of a few pages all over the body, which stays as it is. */
export function probeBody(block: RamBlock, lane: number, request: ProbeRequest): TryCounts {
  const { address, bodyBytes, tableBytes, stride } = request;
  const mode = COMPRESS_PAGES | COMPRESS_DELTAS;
  block.kernels.probe(address, bodyBytes, tableBytes, laneAddress(lane), mode, stride);
  return triesOf(wordsOf(block, lane));
}

function wordsOf(block: RamBlock, lane: number): Uint32Array {
  return new Uint32Array(block.memory.buffer, laneAddress(lane), LANE_WORDS);
}

function triesOf(words: Uint32Array): TryCounts {
  const word = (index: number) => words[index] as number;
  return {
    triedPages: word(2),
    lz4Pages: word(3),
    lz4Bytes: word(4),
    triedDeltas: word(5),
    triedDeltaBytes: word(6),
    lz4Deltas: word(7),
    lz4DeltaBytesBefore: word(8),
    lz4DeltaBytes: word(9),
  };
}
