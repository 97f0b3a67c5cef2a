import type { PageKernels } from '../page-kernels.ts';
import { type BlockLayout, CONTEXT, KERNEL_STATE } from './block-layout.ts';

/** Indices of u32 from CONTEXT, and from KERNEL_STATE; as in kernels/context.ts. */
const CACHE_CONTEXT = 32;
const SETS = 35;
const USED_COUNT = 1;
const FREE_COUNT = 2;
const GHOST_LOOKUPS = 32;
const GHOST_HITS = 33;

/** Sizes of the ghosts, as factors of the cache's own. */
const GHOST_FACTORS = [0.25, 0.5, 1, 2, 4] as const;
/** Of the pages, and of the sets of a cache, a ghost has one in so many. */
const GHOST_SAMPLING = 16;

/** Pages of a set: 1 is QEMU's direct-mapped cache. */
export type CacheWays = 1 | 2;

/** What one size would have done with the sampled lookups so far. */
export interface GhostHits {
  /** Pages of the cache that it stands for. */
  readonly pages: number;
  readonly lookups: number;
  readonly hits: number;
}

/** How many of the dirty pages of a block its cache holds, found by looking at some of them. */
export interface DirtySample {
  readonly dirtyPages: number;
  readonly looked: number;
  readonly cached: number;
}

/** Of an entry of the table, in u32 (kernels/xbzrle-cache.ts). */
const ENTRY_WORDS = 4;

/**
 * The XBZRLE cache of one block, as the thread that runs the migration sizes it; `gather` looks
 * pages up and keeps them. What it holds is what the destination holds, whatever its size.
 */
export class BlockCache {
  private readonly layout: BlockLayout;
  private readonly kernels: PageKernels;
  private readonly context: Uint32Array;
  private readonly state: Uint32Array;
  private readonly words: Uint32Array;
  private readonly dirtyBits: Uint8Array;
  private ghostPages: readonly number[] = [];
  private ways: CacheWays = 2;

  constructor(layout: BlockLayout, memory: WebAssembly.Memory, kernels: PageKernels) {
    this.layout = layout;
    this.kernels = kernels;
    this.context = new Uint32Array(memory.buffer, CONTEXT, 64);
    this.state = new Uint32Array(memory.buffer, KERNEL_STATE, 64);
    this.words = new Uint32Array(memory.buffer);
    const bitmapBytes = Math.ceil(layout.pageCount / 8);
    this.dirtyBits = new Uint8Array(memory.buffer, layout.dirtyBitmap, bitmapBytes);
  }

  /** Sizes it (0: none) and empties it. Returns the pages that it can hold. */
  reset(pages: number, ways: CacheWays = 2): number {
    const { layout, state, context } = this;
    this.ways = ways;
    context[SETS] = 0;
    state[USED_COUNT] = 0;
    state[FREE_COUNT] = 0;
    return this.shape(layout.cache, pages);
  }

  /**
   * Sizes it anew, between two batches: pages stay as far as they fit, those that were used last
   * rather than others. Returns the pages that it can hold.
   */
  resize(pages: number): number {
    const { cache, cacheTableBytes } = this.layout;
    const isSecond = this.context[CACHE_CONTEXT] !== cache;
    return this.shape(isSecond ? cache : cache + cacheTableBytes, pages);
  }

  /** Pages that fit; 0: there is no cache. */
  get capacityPages(): number {
    return this.sets * this.ways;
  }

  get heldPages(): number {
    return (this.state[USED_COUNT] ?? 0) - (this.state[FREE_COUNT] ?? 0);
  }

  /** Of each size since the cache was sized; from small to large, none without a cache. */
  ghosts(): readonly GhostHits[] {
    const lookups = this.state[GHOST_LOOKUPS] ?? 0;
    return this.ghostPages.map((pages, index) => ({
      pages,
      lookups,
      hits: this.state[GHOST_HITS + index] ?? 0,
    }));
  }

  /** Looks at about `lookedMax` dirty pages, spread over the block. */
  sampleDirty(lookedMax: number): DirtySample {
    const { dirtyBits, kernels, layout } = this;
    const dirtyPages = kernels.countBits(layout.dirtyBitmap);
    const stride = Math.max(1, Math.floor(dirtyPages / lookedMax));
    let [looked, cached] = [0, 0];
    for (let at = 0; at < dirtyBits.length; at += stride) {
      for (let bits = dirtyBits[at] ?? 0; bits !== 0; bits &= bits - 1) {
        looked += 1;
        if (this.holds(at * 8 + 31 - Math.clz32(bits & -bits))) cached += 1;
      }
    }
    return { dirtyPages, looked, cached };
  }

  private holds(pfn: number): boolean {
    const { words, context, ways, sets } = this;
    if (sets === 0) return false;
    const table = (context[CACHE_CONTEXT] ?? 0) >>> 2;
    const first = table + (pfn % sets) * ways * ENTRY_WORDS;
    return words[first] === pfn + 1 || (ways === 2 && words[first + ENTRY_WORDS] === pfn + 1);
  }

  private get sets(): number {
    return this.context[SETS] ?? 0;
  }

  private shape(table: number, pages: number): number {
    const { layout, ways, context } = this;
    const sets = Math.floor(Math.min(pages, layout.cachePagesMax) / ways);
    this.kernels.rehashCache(table, sets, ways);
    context.set([table, layout.cacheFree, layout.cacheData, sets, ways], CACHE_CONTEXT);
    this.shapeGhosts(sets * ways);
    return sets * ways;
  }

  private shapeGhosts(pages: number): void {
    const { layout, ways, context, state, kernels } = this;
    const sizes = GHOST_FACTORS.map((factor) => Math.floor(pages * factor));
    this.ghostPages = pages === 0 ? [] : sizes;
    // No cache of a block is larger than that.
    const sets = sizes.map((size) =>
      Math.max(1, Math.floor(Math.min(size, layout.cachePagesMax) / ways / GHOST_SAMPLING)),
    );
    context.set([layout.cacheGhosts, ...sets], CACHE_CONTEXT + 5);
    kernels.clearGhosts();
    state.fill(0, GHOST_LOOKUPS, GHOST_HITS + GHOST_FACTORS.length);
  }
}
