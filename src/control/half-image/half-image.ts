import { crc32c, PAGE_BYTES } from '../../base/index.ts';
import { fileError } from '../../channel/index.ts';
import type { GuestMemory, MachineState, RamBlock } from '../../guestmem/index.ts';
import { decodeMachineState } from '../../protocol/index.ts';
import { type HalfFile, openHalfFile, readAt } from './half-file.ts';
import { decodeHalfHead, HALF_HEAD_BYTES, type HalfHead } from './half-head.ts';
import { halfImageError } from './half-image-error.ts';
import {
  HALF_SEAL_BYTES,
  type HalfBlockPlace,
  type HalfLayout,
  halfLayout,
  hasPage,
  piecesOf,
} from './half-layout.ts';
import { decodeHalfSeal, type HalfSeal } from './half-seal.ts';

/** Bitmap and hashes of one block, as a half image has them. */
interface HalfMap {
  readonly place: HalfBlockPlace;
  readonly bitmap: Buffer;
  readonly hashes: Buffer;
}

/**
 * A half image that lies on disk, complete. Everything but the pages was read and checked when it
 * was opened; pages are checked as they are loaded. Nothing is taken for true that has no checksum.
 */
export class HalfImage {
  readonly path: string;
  readonly head: HalfHead;
  /** Pages that it has. */
  readonly pages: number;
  readonly state: MachineState | undefined;
  private readonly file: HalfFile;
  private readonly maps: readonly HalfMap[];

  private constructor(path: string, file: HalfFile, parts: HalfParts) {
    this.path = path;
    this.file = file;
    this.head = parts.head;
    this.pages = parts.seal.pages;
    this.maps = parts.maps;
    this.state = parts.state;
  }

  /** Rejects with E_FILE, or with E_HALF_IMAGE that says what is wrong. */
  static async open(path: string): Promise<HalfImage> {
    const file = await openHalfFile(path, 'r').catch((thrown: unknown) => {
      throw fileError(path, 'open', thrown);
    });
    try {
      return new HalfImage(path, file, await new HalfReader(path, file).read());
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  /** For each block, which pages it has, a bit a page. */
  get bitmaps(): readonly Uint8Array[] {
    return this.maps.map(({ bitmap }) => bitmap);
  }

  /**
   * Reads its pages to where they belong, but for those of `except`. They are populated then.
   * Rejects with E_FILE, or E_HALF_IMAGE for a page that has not its hash.
   */
  async load(memory: GuestMemory, except?: readonly Uint8Array[]): Promise<number> {
    let loaded = 0;
    for (const [index, map] of this.maps.entries()) {
      const without = except?.[index];
      const wanted = (pfn: number) =>
        hasPage(map.bitmap, pfn) && (without === undefined || !hasPage(without, pfn));
      // The caller has built the memory that the head describes.
      const block = memory.blocks[index] as RamBlock;
      const taken = new Uint8Array(map.bitmap.length);
      for (const { first, count } of piecesOf(map.place.pageCount, wanted)) {
        await this.loadPiece(block, map, first, count);
        for (let pfn = first; pfn < first + count; pfn += 1) mark(taken, pfn);
        loaded += count;
      }
      block.populate(taken);
    }
    return loaded;
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  private async loadPiece(
    block: RamBlock,
    { place, hashes }: HalfMap,
    first: number,
    count: number,
  ): Promise<void> {
    const expected = hashes.subarray(first * 8, (first + count) * 8);
    // Holes: RAM is zero already, and stays untouched.
    if (expected.every((byte) => byte === 0)) return;
    const target = block.ram.subarray(first * PAGE_BYTES, (first + count) * PAGE_BYTES);
    await readAt(this.file, this.path, target, place.pagesAt + first * PAGE_BYTES);
    for (let offset = 0; offset < count; offset += 1) {
      if (block.hashOf(first + offset) === expected.readBigUInt64LE(offset * 8)) continue;
      throw halfImageError('Page of the half image is damaged', {
        path: this.path,
        page: `${place.name}:${first + offset}`,
      });
    }
  }
}

interface HalfParts {
  readonly head: HalfHead;
  readonly seal: HalfSeal;
  readonly maps: readonly HalfMap[];
  readonly state: MachineState | undefined;
}

/** Reads what a half image says of itself, strictly. */
class HalfReader {
  private readonly path: string;
  private readonly file: HalfFile;

  constructor(path: string, file: HalfFile) {
    this.path = path;
    this.file = file;
  }

  async read(): Promise<HalfParts> {
    const headBytes = await this.take(0, HALF_HEAD_BYTES);
    const head = decodeHalfHead(headBytes);
    const layout = halfLayout(head);
    const { size } = await this.file.stat();
    // Before anything of that size is allocated: the file must really be as long as its head says.
    if (size !== layout.fileBytes) {
      const text = 'Half image is not complete';
      throw halfImageError(text, { path: this.path, bytes: size, expected: layout.fileBytes });
    }
    const sealBytes = await this.take(layout.sealAt, HALF_SEAL_BYTES);
    const seal = decodeHalfSeal(sealBytes, layout.blocks.length);
    if (seal.headCrc !== crc32c(headBytes)) throw this.damaged('seal');
    const maps = await this.maps(layout, seal);
    return { head, seal, maps, state: await this.state(head, layout, seal) };
  }

  private async maps(layout: HalfLayout, seal: HalfSeal): Promise<readonly HalfMap[]> {
    const maps: HalfMap[] = [];
    let pages = 0;
    for (const [index, place] of layout.blocks.entries()) {
      const bitmap = await this.take(place.bitmapAt, place.bitmapBytes);
      const hashes = await this.take(place.hashesAt, place.hashesBytes);
      if (crc32c(hashes, crc32c(bitmap)) !== seal.mapCrcs[index]) throw this.damaged(place.name);
      for (let pfn = 0; pfn < place.bitmapBytes * 8; pfn += 1) {
        if (!hasPage(bitmap, pfn)) continue;
        if (pfn >= place.pageCount) throw this.damaged(place.name);
        pages += 1;
      }
      maps.push({ place, bitmap, hashes });
    }
    if (pages !== seal.pages) throw this.damaged('count');
    return maps;
  }

  private async state(
    { stateBytes }: HalfHead,
    { stateAt }: HalfLayout,
    { stateCrc }: HalfSeal,
  ): Promise<MachineState | undefined> {
    const bytes = await this.take(stateAt, stateBytes);
    if (crc32c(bytes) !== stateCrc) throw this.damaged('machine state');
    if (stateBytes === 0) return undefined;
    const decoded = decodeMachineState(bytes);
    if (decoded.kind === 'malformed') throw this.damaged('machine state');
    return decoded.body;
  }

  private async take(position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    await readAt(this.file, this.path, bytes, position);
    return bytes;
  }

  private damaged(part: string): Error {
    return halfImageError('Maps of the half image are damaged', { path: this.path, part });
  }
}

function mark(bitmap: Uint8Array, pfn: number): void {
  bitmap[pfn >>> 3] = (bitmap[pfn >>> 3] ?? 0) | (1 << (pfn & 7));
}
