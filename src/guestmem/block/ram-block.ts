import { assert, BATCH_PAGES_MAX, PAGE_BYTES, SternaError } from '../../base/index.ts';
import {
  APPLY_OUTCOMES,
  GATHER_ENCODE,
  GATHER_KEEP,
  GATHER_KEEP_OTHERS,
  GATHER_PRIME_SHIFT,
  GATHER_SHORTEST,
  GATHER_TELL_ALL,
  instantiatePageKernels,
  type PageKernels,
} from '../page-kernels.ts';
import { BlockCache } from './block-cache.ts';
import {
  type BlockLayout,
  CONTEXT,
  CRC_TABLE,
  dirtyMapAddress,
  ENTRY_SCRATCH,
  PFN_LIST,
  RESULTS,
  SCRATCH_PAGE,
  SLOT_BYTES,
  SLOT_COUNT,
  URGENT_SLOT_BYTES,
  URGENT_SLOT_COUNT,
} from './block-layout.ts';
import { BlockOrder } from './block-order.ts';
import type { ApplyResult, GatherResult, TakenPages } from './kernel-results.ts';

/** The staging slot that is cut into small ones. */
const URGENT_SLOT = SLOT_COUNT - 1;

/**
 * One block of guest RAM as one thread sees it: the shared memory, this thread's instance of the
 * kernels, and the operations of a migration on it. Only one thread at a time runs a migration, so
 * bitmaps, hashes, cache and slots have one writer; RAM, dirty maps and the received map are shared
 * with the vCPUs (see dirty-log in the folder's README).
 */
export class RamBlock {
  readonly layout: BlockLayout;
  readonly memory: WebAssembly.Memory;
  readonly kernels: PageKernels;
  readonly order: BlockOrder;
  readonly cache: BlockCache;
  /** The whole memory as bytes. */
  readonly bytes: Buffer;
  private readonly results: Uint32Array;

  constructor(layout: BlockLayout, memory: WebAssembly.Memory) {
    this.layout = layout;
    this.memory = memory;
    this.kernels = instantiatePageKernels(memory);
    this.bytes = Buffer.from(memory.buffer);
    this.order = new BlockOrder(memory, this.kernels);
    this.cache = new BlockCache(layout, memory, this.kernels);
    this.results = new Uint32Array(memory.buffer, RESULTS, 32);
  }

  /** Writes the context and the tables; once, by the thread that allocated the memory. */
  initialize(): void {
    const { layout } = this;
    this.context().set([
      layout.ram,
      layout.pageCount,
      layout.dirtyBitmap,
      layout.populatedBitmap,
      layout.receivedMap,
      layout.hashTable,
      CRC_TABLE,
      SCRATCH_PAGE,
      PFN_LIST,
      ENTRY_SCRATCH,
      layout.heatMap,
      layout.weightMap,
      layout.pendingBitmap,
      layout.writtenBitmap,
      layout.bucketBitmaps,
      layout.orderBitmapBytes,
    ]);
    this.kernels.crcInitialize();
  }

  get ram(): Buffer {
    const { ram, pageCount } = this.layout;
    return this.bytes.subarray(ram, ram + pageCount * PAGE_BYTES);
  }

  /** Whether the page has come, with all its bytes. */
  isReceived(pfn: number): boolean {
    // Pairs with the atomic store of the kernel that applied the page.
    return Atomics.load(this.bytes, this.layout.receivedMap + pfn) !== 0;
  }

  /** A staging slot: the frame's header goes into its first 32 bytes. */
  slot(index: number): Buffer {
    const start = this.slotAddress(index);
    return this.bytes.subarray(start, start + SLOT_BYTES);
  }

  slotAddress(index: number): number {
    return this.layout.slots + index * SLOT_BYTES;
  }

  /** A small slot for one page: a frame's header goes into its first 32 bytes. */
  urgentSlot(index: number): Buffer {
    const start = this.urgentSlotAddress(index);
    return this.bytes.subarray(start, start + URGENT_SLOT_BYTES);
  }

  urgentSlotAddress(index: number): number {
    assert(index >= 0 && index < URGENT_SLOT_COUNT, 'The small slot exists');
    return this.slotAddress(URGENT_SLOT) + index * URGENT_SLOT_BYTES;
  }

  /**
   * Merges the retired map of a log into the bitmaps. Returns the pages that were not dirty before.
   */
  mergeRetiredLog(log: number, retiredMap: number): number {
    return this.kernels.mergeDirtyMap(dirtyMapAddress(this.layout, log, retiredMap));
  }

  /**
   * Moves up to `max` dirty pages in [from, to) (to the end of the block without `to`), ascending,
   * to the list of the next gather, behind its first `listOffset` entries. `next` is where to go
   * on.
   */
  takeDirty(from: number, max: number): TakenPages;
  takeDirty(from: number, to: number, max: number, listOffset?: number): TakenPages;
  takeDirty(from: number, toOrMax: number, max?: number, listOffset = 0): TakenPages {
    const to = max === undefined ? this.layout.pageCount : toOrMax;
    const limit = max ?? toOrMax;
    assert(to <= this.layout.pageCount && from >= 0, 'Pages to take lie in the block');
    assert(listOffset + limit <= BATCH_PAGES_MAX, 'A batch holds the pages that are taken');
    return this.taken(this.kernels.takeDirty(from, to, limit, listOffset));
  }

  /** The same of pages in [downTo, from), descending; `next` is the `from` of the next call. */
  takeDirtyDown(from: number, downTo: number, max: number, listOffset = 0): TakenPages {
    assert(from <= this.layout.pageCount && downTo >= 0, 'Pages to take lie in the block');
    assert(listOffset + max <= BATCH_PAGES_MAX, 'A batch holds the pages that are taken');
    return this.taken(this.kernels.takeDirtyDown(from, downTo, max, listOffset));
  }

  /**
   * The same of dirty pages from page `from` on, ascending, that are hot: dirtied in at least
   * `level` syncs (by each of its writers) since the migration began; 255 counts for more too.
   */
  takeHottest(level: number, from: number, max: number, listOffset = 0): TakenPages {
    assert(listOffset + max <= BATCH_PAGES_MAX, 'A batch holds the pages that are taken');
    return this.taken(this.kernels.takeHottest(level, from, max, listOffset));
  }

  countDirty(): number {
    return this.kernels.countBits(this.layout.dirtyBitmap);
  }

  /** Nothing is dirty any more. */
  clearDirty(): void {
    const { dirtyBitmap, pageCount } = this.layout;
    this.bytes.fill(0, dirtyBitmap, dirtyBitmap + Math.ceil(pageCount / 64) * 8);
  }

  isDirty(pfn: number): boolean {
    return (((this.bytes[this.layout.dirtyBitmap + (pfn >>> 3)] ?? 0) >>> (pfn & 7)) & 1) === 1;
  }

  /**
   * Overwrites a page of a guest that stands still, with zeros when there is no `content`. A page
   * that never held anything is not touched for that.
   */
  overwrite(pfn: number, content: Uint8Array | undefined): void {
    const { ram, populatedBitmap } = this.layout;
    const at = ram + pfn * PAGE_BYTES;
    const populated = populatedBitmap + (pfn >>> 3);
    const bits = this.bytes[populated] ?? 0;
    const bit = 1 << (pfn & 7);
    if (content !== undefined) {
      this.bytes.set(content, at);
      this.bytes[populated] = bits | bit;
    } else if ((bits & bit) !== 0) this.bytes.fill(0, at, at + PAGE_BYTES);
  }

  /** A copy of the dirty bitmap, a bit a page. */
  dirtyPages(): Uint8Array {
    return this.copyOf(this.layout.dirtyBitmap);
  }

  /** Overwrites the dirty bitmap. Throws E_PROTOCOL_BAD_BODY when it has another size. */
  setDirty(bitmap: Uint8Array): void {
    this.kernels.setDirty(this.place(bitmap));
  }

  /** The received map as a bitmap, a bit a page; a copy. */
  receivedBitmap(): Uint8Array {
    const { receivedMap, scratchBitmap } = this.layout;
    this.kernels.bitsOfMap(receivedMap, scratchBitmap);
    return this.copyOf(scratchBitmap);
  }

  /** The pages whose bit is set hold something from now on. The bitmap is of the block's size. */
  populate(bitmap: Uint8Array): void {
    const { populatedBitmap } = this.layout;
    for (let index = 0; index < this.bitmapBytes; index += 1) {
      // Both have that many bytes.
      const byte = bitmap[index] as number;
      this.bytes[populatedBitmap + index] = (this.bytes[populatedBitmap + index] as number) | byte;
    }
  }

  /** Pages that have no received mark. Any thread may ask: it only looks. */
  missingPages(): number {
    let missing = 0;
    for (let pfn = 0; pfn < this.layout.pageCount; pfn += 1)
      missing += this.isReceived(pfn) ? 0 : 1;
    return missing;
  }

  /**
   * Pages whose bit is set are missing again; returns how many had come. Only while no vCPU runs.
   * Throws E_PROTOCOL_BAD_BODY when the bitmap has another size.
   */
  forget(bitmap: Uint8Array): number {
    return this.kernels.forget(this.place(bitmap));
  }

  /** Hash of the page as it lies in RAM now. */
  hashOf(pfn: number): bigint {
    return BigInt.asUintN(64, this.kernels.hashPage(this.layout.ram + pfn * PAGE_BYTES, pfn));
  }

  /**
   * Makes the body of a PAGE_BATCH at `address` of the `count` listed pages. Without `encode`,
   * pages whose weight is in bucket `primeBucket` or a hotter one are inserted into the cache (0:
   * none), and with `keepOthers` all others too, where there is room: they give way to hot ones.
   * With `shortest` a page goes as LZ4 where that is shorter than its delta, also as LZ4.
   */
  gather(
    address: number,
    count: number,
    encode: boolean,
    keep: boolean,
    age: number,
    primeBucket = 0,
    keepOthers = false,
    shortest = false,
  ): GatherResult {
    const prime = (primeBucket << GATHER_PRIME_SHIFT) | (keepOthers ? GATHER_KEEP_OTHERS : 0);
    const how = (encode ? GATHER_ENCODE : 0) | (shortest ? GATHER_SHORTEST : 0);
    const mode = how | (keep ? GATHER_KEEP : 0) | prime;
    this.kernels.gather(address, count, mode, age);
    return this.gatherResult();
  }

  /**
   * Of pages that are missing at the destination, which is told of each. With `deltas` those in the
   * cache go as the difference to what the destination had of them before.
   */
  gatherMissing(address: number, count: number, deltas: boolean): GatherResult {
    this.kernels.gather(address, count, deltas ? GATHER_ENCODE | GATHER_TELL_ALL : 0, 0);
    return this.gatherResult();
  }

  /**
   * Zero runs for pages that never held anything. `next` is the block's page count when all are
   * told.
   */
  gatherEmpty(
    address: number,
    from: number,
    maxEntries: number,
  ): GatherResult & { readonly next: number } {
    this.kernels.gatherEmpty(address, from, maxEntries);
    return { ...this.gatherResult(), next: this.result(0) };
  }

  /**
   * Zero runs for dirty pages from page `from` on that hold only zeros; they are not dirty after
   * that, the others still are. Bounded work: `next` is where to go on, the block's page count when
   * all were looked at, and there may be nothing to send before.
   */
  gatherZeros(
    address: number,
    from: number,
    maxEntries: number,
  ): GatherResult & { readonly next: number } {
    this.kernels.gatherZeros(address, from, maxEntries);
    return { ...this.gatherResult(), next: this.result(0) };
  }

  /**
   * Checks a PAGE_BATCH body that lies in this memory and writes its pages into RAM. With
   * `keepReceived` (post-copy) a page that has come already is skipped: the guest may have written
   * it. A page whose hash is wrong is not marked received.
   */
  apply(
    address: number,
    bodyBytes: number,
    tableBytes: number,
    tableCrc: number,
    keepReceived = false,
  ): ApplyResult {
    const code = this.kernels.apply(address, bodyBytes, tableBytes, tableCrc, keepReceived);
    const outcome = APPLY_OUTCOMES[code];
    return {
      outcome: outcome ?? 'bad-table',
      errorPfn: this.result(14),
      newPages: this.result(13),
      duplicatePages: this.result(15),
      zeroPages: this.result(4),
      rawPages: this.result(5),
      xbzrlePages: this.result(6),
      xbzrleBytes: this.result(8),
      lz4Pages: this.result(16),
      lz4XbzrlePages: this.result(17),
      lz4Bytes: this.result(18),
      lz4XbzrleBytes: this.result(19),
    };
  }

  /**
   * First few pages whose hash differs from the one kept when the page was applied, and how many
   * differ.
   */
  compareHashes(
    first: number,
    count: number,
    theirs: number,
    max: number,
  ): { readonly different: number; readonly pfns: readonly number[] } {
    const different = this.kernels.compareHashes(first, count, theirs, PFN_LIST, max);
    const list = new Uint32Array(this.memory.buffer, PFN_LIST, Math.min(different, max));
    return { different, pfns: [...list] };
  }

  private taken(count: number): TakenPages {
    return { count, next: this.result(0) };
  }

  private get bitmapBytes(): number {
    return Math.ceil(this.layout.pageCount / 8);
  }

  private copyOf(bitmap: number): Uint8Array {
    return Uint8Array.from(this.bytes.subarray(bitmap, bitmap + this.bitmapBytes));
  }

  /** Returns the address of a copy. The bitmap may be a peer's. */
  private place(bitmap: Uint8Array): number {
    const at = this.layout.scratchBitmap;
    if (bitmap.length !== this.bitmapBytes) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Bitmap is not of the size of its RAM block', {
        detail: { block: this.layout.name, bytes: bitmap.length, expected: this.bitmapBytes },
      });
    }
    // Kernels read whole words.
    this.bytes.fill(0, at, at + Math.ceil(this.layout.pageCount / 64) * 8);
    this.bytes.set(bitmap, at);
    return at;
  }

  private context(): Uint32Array {
    return new Uint32Array(this.memory.buffer, CONTEXT, 16);
  }

  private gatherResult(): GatherResult {
    return {
      bodyBytes: this.result(1),
      tableBytes: this.result(2),
      tableCrc: this.result(3),
      zeroPages: this.result(4),
      rawPages: this.result(5),
      xbzrlePages: this.result(6),
      unchangedPages: this.result(7),
      xbzrleBytes: this.result(8),
      hitPages: this.result(9),
      missPages: this.result(10),
      conflictPages: this.result(11),
      overflowPages: this.result(12),
      primedPages: this.result(24),
      lz4Pages: this.result(16),
      lz4Bytes: this.result(18),
    };
  }

  /** `index` counts u32 from RESULTS, as in kernels/context.ts. */
  private result(index: number): number {
    // The view has 32 entries and callers pass constants below that.
    return this.results[index] as number;
  }
}
