import { unlink } from 'node:fs/promises';
import { crc32c, PAGE_BYTES } from '../../base/index.ts';
import { completeFile, fileError } from '../../channel/index.ts';
import type { GuestMemory, RamBlock } from '../../guestmem/index.ts';
import { type HalfFile, type OpenHalfFile, openHalfFile, writeAt } from './half-file.ts';
import { encodeHalfHead, type HalfHead } from './half-head.ts';
import {
  addPage,
  type HalfBlockPlace,
  type HalfLayout,
  halfLayout,
  hasPage,
  piecesOf,
} from './half-layout.ts';
import { encodeHalfSeal } from './half-seal.ts';

/** A half that is to be written. Its pages do not change meanwhile, but for those left out. */
export interface Half {
  readonly head: Omit<HalfHead, 'stateBytes'>;
  readonly memory: GuestMemory;
  /** For each block, a bit a page. */
  readonly bitmaps: readonly Uint8Array[];
  /**
   * Asked in the turn in which a page is copied: it is another one by now, and the half is written
   * without it. Absent: no page changes.
   */
  readonly leavesOut?: ((block: RamBlock, pfn: number) => boolean) | undefined;
  /** An encoded MACHINE_STATE, or empty. */
  readonly state: Uint8Array;
}

export interface HalfWriterOptions {
  /** Told after each piece. */
  readonly wrote?: (bytes: number) => void;
  /** Given up when it says yes. */
  readonly isCancelled?: () => boolean;
  readonly openFile?: OpenHalfFile;
}

/** Checksums are continued over pieces of this: 100 µs each, with other work in between. */
const SUM_PIECE_BYTES = 32 * 2 ** 10;

/** The temporary name of a half image that is being written. */
export function partialHalfPath(path: string): string {
  return `${path}.partial`;
}

/**
 * Writes a half image: under a temporary name, piece by piece straight from RAM (from a copy, where
 * pages may change) with one piece in flight, its seal when all else is durable, then under its
 * name. Resolves to the bytes written. Rejects with E_FILE, and then nothing is left of it.
 */
export async function writeHalf(
  path: string,
  half: Half,
  options: HalfWriterOptions = {},
): Promise<number> {
  const { openFile = openHalfFile } = options;
  const partial = partialHalfPath(path);
  const file = await openFile(partial, 'wx').catch((thrown: unknown) => {
    throw fileError(partial, 'create', thrown);
  });
  const writer = new HalfWriter(file, half, options);
  try {
    try {
      await writer.write();
    } finally {
      await file.close();
    }
    writer.throwIfCancelled();
    await completeFile(path);
    return writer.bytes;
  } catch (thrown) {
    await unlink(partial).catch(() => {});
    throw fileError(path, 'write', thrown);
  }
}

class HalfWriter {
  bytes = 0;
  private readonly file: HalfFile;
  private readonly half: Half;
  private readonly options: HalfWriterOptions;
  private readonly layout: HalfLayout;
  private readonly head: Buffer;
  private pages = 0;

  constructor(file: HalfFile, half: Half, options: HalfWriterOptions) {
    const head = { ...half.head, stateBytes: half.state.length };
    this.file = file;
    this.half = half;
    this.options = options;
    this.layout = halfLayout(head);
    this.head = encodeHalfHead(head);
  }

  async write(): Promise<void> {
    const { layout, half, head } = this;
    await this.put(head, 0);
    const mapCrcs: number[] = [];
    for (const [index, place] of layout.blocks.entries()) {
      // The layout was made for this memory.
      const block = half.memory.blocks[index] as RamBlock;
      mapCrcs.push(await this.writeBlock(block, half.bitmaps[index] as Uint8Array, place));
    }
    await this.put(half.state, layout.stateAt);
    await this.file.datasync();
    const stateCrc = crc32c(half.state);
    const headCrc = crc32c(head);
    await this.put(
      encodeHalfSeal({ pages: this.pages, headCrc, stateCrc, mapCrcs }),
      layout.sealAt,
    );
    await this.file.datasync();
  }

  throwIfCancelled(): void {
    if (this.options.isCancelled?.()) throw new Error('It is not needed any more');
  }

  /** Resolves to the checksum of bitmap and hashes. */
  private async writeBlock(
    block: RamBlock,
    bitmap: Uint8Array,
    place: HalfBlockPlace,
  ): Promise<number> {
    const { leavesOut } = this.half;
    const hashes = Buffer.alloc(place.hashesBytes);
    const kept = new Uint8Array(place.bitmapBytes);
    const isKept = (pfn: number) => hasPage(bitmap, pfn) && !leavesOut?.(block, pfn);
    // No turn ends between the look at the pages of a piece and the copy of it.
    for (const { first, count } of piecesOf(place.pageCount, isKept)) {
      this.pages += count;
      let any = 0n;
      for (let pfn = first; pfn < first + count; pfn += 1) {
        const hash = block.hashOf(pfn);
        hashes.writeBigUInt64LE(hash, pfn * 8);
        addPage(kept, pfn);
        any |= hash;
      }
      // Pages of zeros stay holes, where a whole piece is of them.
      if (any === 0n) continue;
      const pages = block.ram.subarray(first * PAGE_BYTES, (first + count) * PAGE_BYTES);
      const piece = leavesOut === undefined ? pages : Buffer.from(pages);
      await this.put(piece, place.pagesAt + first * PAGE_BYTES);
    }
    const crc = await this.putSummed(kept, place.bitmapAt, 0);
    return this.putSummed(hashes, place.hashesAt, crc);
  }

  private async putSummed(bytes: Uint8Array, position: number, before: number): Promise<number> {
    let crc = before;
    for (let at = 0; at < bytes.length; at += SUM_PIECE_BYTES) {
      const piece = bytes.subarray(at, at + SUM_PIECE_BYTES);
      crc = crc32c(piece, crc);
      await this.put(piece, position + at);
    }
    return crc;
  }

  private async put(bytes: Uint8Array, position: number): Promise<void> {
    this.throwIfCancelled();
    await writeAt(this.file, bytes, position);
    this.bytes += bytes.length;
    this.options.wrote?.(bytes.length);
  }
}
