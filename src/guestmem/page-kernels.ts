import { readFileSync } from 'node:fs';
import { artifactUrl } from '../base/index.ts';

/** What `kernels/page-kernels.ts` exports; addresses are byte offsets into the block's memory. */
export interface PageKernels {
  mergeDirtyMap(map: number): number;
  takeDirty(from: number, to: number, max: number, offset: number): number;
  takeDirtyDown(from: number, downTo: number, max: number, offset: number): number;
  takeHottest(level: number, from: number, max: number, offset: number): number;
  bitsOfMap(map: number, to: number): void;
  setDirty(from: number): void;
  countBits(bitmap: number): number;
  dirtyAllPopulated(): number;
  resetOrder(): void;
  beginOrder(mode: number): void;
  endOrder(): void;
  halveWeights(): void;
  coldestBucket(): number;
  takeColdest(from: number, max: number, offset: number): number;
  takeWritten(): number;
  rehashCache(to: number, sets: number, ways: number): number;
  clearGhosts(): void;
  crcInitialize(): void;
  crc32c(from: number, length: number): number;
  gather(slot: number, count: number, mode: number, age: number): number;
  gatherEmpty(slot: number, from: number, max: number): number;
  gatherZeros(slot: number, from: number, max: number): number;
  compress(
    body: number,
    bodyBytes: number,
    tableBytes: number,
    lane: number,
    mode: number,
    maxTries: number,
  ): number;
  probe(
    body: number,
    bodyBytes: number,
    tableBytes: number,
    lane: number,
    mode: number,
    stride: number,
  ): void;
  hashPages(first: number, count: number, to: number): void;
  apply(
    body: number,
    bodyBytes: number,
    tableBytes: number,
    tableCrc: number,
    keepReceived: boolean,
  ): number;
  forget(bitmap: number): number;
  compareHashes(first: number, count: number, theirs: number, list: number, max: number): number;
  copyAndHash(from: number, to: number, pfn: number): bigint;
  hashPage(page: number, pfn: number): bigint;
  xbzrleEncode(oldPage: number, newPage: number, to: number, limit: number): number;
  xbzrleDecode(page: number, from: number, length: number): number;
  lz4Encode(from: number, length: number, to: number, limit: number, table: number): number;
  lz4Decode(from: number, length: number, to: number, limit: number): number;
}

/** Bits of `mode` of `gather`. */
export const GATHER_ENCODE = 1;
export const GATHER_KEEP = 2;
export const GATHER_KEEP_OTHERS = 4;
export const GATHER_TELL_ALL = 8;
export const GATHER_SHORTEST = 16;
/** The bucket from which on pages are primed, in the bits from here on. */
export const GATHER_PRIME_SHIFT = 8;

/** Bits of `mode` of `beginOrder`. */
export const ORDER_WEIGHING = 1;
export const ORDER_ORDERED = 2;

/** Bits of `mode` of `compress`. */
export const COMPRESS_PAGES = 1;
export const COMPRESS_DELTAS = 2;

/** What `apply` returns. */
export const APPLY_OUTCOMES = [
  'ok',
  'bad-table',
  'bad-crc',
  'bad-delta',
  'bad-hash',
  'bad-lz4',
] as const;
export type ApplyOutcome = (typeof APPLY_OUTCOMES)[number];

/** Instantiates the kernels over one block's memory. */
export function instantiatePageKernels(memory: WebAssembly.Memory): PageKernels {
  const bytes = readFileSync(artifactUrl('./page-kernels.wasm', import.meta.url));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    env: {
      memory,
      abort() {
        throw new Error('Page kernel aborted');
      },
    },
  });
  // The exports are those of kernels/page-kernels.ts, which is built together with this file.
  return instance.exports as unknown as PageKernels;
}
