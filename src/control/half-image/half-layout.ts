import { PAGE_BYTES } from '../../base/index.ts';
import type { MachineDescription } from '../../guestmem/index.ts';
import { HALF_HEAD_BYTES, type HalfHead } from './half-head.ts';

/** Where the parts of one RAM block lie in a half image. */
export interface HalfBlockPlace {
  readonly name: string;
  readonly pageCount: number;
  /** A bit a page: which ones the half has. */
  readonly bitmapAt: number;
  readonly bitmapBytes: number;
  /** A u64 a page; 0 for a page of zeros, and for one that the half has not. */
  readonly hashesAt: number;
  readonly hashesBytes: number;
  /** Each page in its place; what the half has not, and zeros, are holes. */
  readonly pagesAt: number;
}

/**
 * Where everything lies. It follows from the head alone: no other number of the file is trusted.
 */
export interface HalfLayout {
  readonly blocks: readonly HalfBlockPlace[];
  readonly stateAt: number;
  readonly sealAt: number;
  readonly fileBytes: number;
}

export const HALF_SEAL_BYTES = 128;
/** Read, hashed and written at a time: a page that a vCPU waits for is not behind more. */
export const HALF_PIECE_PAGES = 64;

/** The layout that a head asks for. Sizes are within the caps of HELLO, so sums are exact. */
export function halfLayout({ machine, stateBytes }: Pick<HalfHead, 'machine' | 'stateBytes'>) {
  let end = HALF_HEAD_BYTES;
  const place = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    return at;
  };
  const blocks = machine.ramBlocks.map(({ name, bytes }): HalfBlockPlace => {
    const pageCount = bytes / PAGE_BYTES;
    const [bitmapBytes, hashesBytes] = [Math.ceil(pageCount / 8), pageCount * 8];
    const [bitmapAt, hashesAt] = [place(bitmapBytes), place(hashesBytes)];
    return { name, pageCount, bitmapAt, bitmapBytes, hashesAt, hashesBytes, pagesAt: place(bytes) };
  });
  const stateAt = place(stateBytes);
  const layout: HalfLayout = { blocks, stateAt, sealAt: end, fileBytes: end + HALF_SEAL_BYTES };
  return layout;
}

/** Whether a bitmap has the page. */
export function hasPage(bitmap: Uint8Array, pfn: number): boolean {
  return (((bitmap[pfn >>> 3] ?? 0) >>> (pfn & 7)) & 1) === 1;
}

/** Adds the page to a bitmap. */
export function addPage(bitmap: Uint8Array, pfn: number): void {
  bitmap[pfn >>> 3] = (bitmap[pfn >>> 3] ?? 0) | (1 << (pfn & 7));
}

/** Stretches of neighbours that `wanted` says yes to, none longer than a piece. */
export function* piecesOf(
  pageCount: number,
  wanted: (pfn: number) => boolean,
): Generator<{ readonly first: number; readonly count: number }> {
  for (let first = 0; first < pageCount; first += 1) {
    if (!wanted(first)) continue;
    let end = first + 1;
    while (end < pageCount && end - first < HALF_PIECE_PAGES && wanted(end)) end += 1;
    yield { first, count: end - first };
    first = end - 1;
  }
}

/** Pages of a machine. */
export function pagesOf({ ramBlocks }: MachineDescription): number {
  return ramBlocks.reduce((pages, { bytes }) => pages + bytes / PAGE_BYTES, 0);
}
