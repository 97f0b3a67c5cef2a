import { PAGE_BYTES } from '../base/index.ts';
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
} from './block-layout.ts';
import {
  APPLY_OUTCOMES,
  type ApplyOutcome,
  GATHER_ENCODE,
  GATHER_KEEP,
  instantiatePageKernels,
  type PageKernels,
} from './page-kernels.ts';

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
}

export interface ApplyResult {
  readonly outcome: ApplyOutcome;
  /** Page at which it failed. */
  readonly errorPfn: number;
  /** Pages that had not come before. */
  readonly newPages: number;
  readonly zeroPages: number;
  readonly rawPages: number;
  readonly xbzrlePages: number;
}

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
  /** The whole memory as bytes. */
  readonly bytes: Buffer;
  private readonly results: Uint32Array;

  constructor(layout: BlockLayout, memory: WebAssembly.Memory) {
    this.layout = layout;
    this.memory = memory;
    this.kernels = instantiatePageKernels(memory);
    this.bytes = Buffer.from(memory.buffer);
    this.results = new Uint32Array(memory.buffer, RESULTS, 16);
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
    ]);
    this.kernels.crcInitialize();
  }

  /** Sizes the XBZRLE cache (0: none) and empties it. Returns the pages it holds. */
  resetCache(pages: number): number {
    const { layout } = this;
    const sets = Math.floor(Math.min(pages, layout.cachePagesMax) / 2);
    const ways = sets * 2;
    const tags = layout.cache;
    const ages = tags + ways * 4;
    const data = Math.ceil((ages + ways * 4) / PAGE_BYTES) * PAGE_BYTES;
    this.bytes.fill(0, tags, data);
    this.context().set([tags, ages, data, sets], 10);
    return ways;
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

  /**
   * Merges the retired map of a log into the bitmaps. Returns the pages that were not dirty before.
   */
  mergeRetiredLog(log: number, retiredMap: number): number {
    return this.kernels.mergeDirtyMap(dirtyMapAddress(this.layout, log, retiredMap));
  }

  /** Moves up to `max` dirty pages from page `from` on to the list of the next gather. */
  takeDirty(from: number, max: number): { readonly count: number; readonly next: number } {
    const count = this.kernels.takeDirty(from, this.layout.pageCount, max);
    return { count, next: this.result(0) };
  }

  /** Makes the body of a PAGE_BATCH at `address` of the `count` listed pages. */
  gather(
    address: number,
    count: number,
    encode: boolean,
    keep: boolean,
    age: number,
  ): GatherResult {
    const mode = (encode ? GATHER_ENCODE : 0) | (keep ? GATHER_KEEP : 0);
    this.kernels.gather(address, count, mode, age);
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

  /** Checks a PAGE_BATCH body that lies in this memory and writes its pages into RAM. */
  apply(address: number, bodyBytes: number, tableBytes: number, tableCrc: number): ApplyResult {
    const outcome = APPLY_OUTCOMES[this.kernels.apply(address, bodyBytes, tableBytes, tableCrc)];
    return {
      outcome: outcome ?? 'bad-table',
      errorPfn: this.result(14),
      newPages: this.result(13),
      zeroPages: this.result(4),
      rawPages: this.result(5),
      xbzrlePages: this.result(6),
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
    };
  }

  /** `index` counts u32 from RESULTS, as in kernels/context.ts. */
  private result(index: number): number {
    // The view has 16 entries and callers pass constants below that.
    return this.results[index] as number;
  }
}
