import { ReferenceCache } from './xbzrle-cache.ts';

const FACTORS = [0.25, 0.5, 1, 2, 4];
const SAMPLING = 16;
const SAMPLED = 5;
const NOTHING = new Uint8Array(0);

/** Caches of other sizes that see one page of sixteen: the twin of kernels/ghost-cache.ts. */
export class ReferenceGhosts {
  lookups = 0;
  readonly hits = FACTORS.map(() => 0);
  private readonly caches: readonly ReferenceCache[];

  /** A cache of this block never has more than `pagesMax` pages. */
  constructor(pages: number, ways: number, pagesMax: number) {
    this.caches = FACTORS.map((factor) => {
      const size = Math.min(Math.floor(pages * factor), pagesMax);
      const sets = Math.max(1, Math.floor(Math.floor(size / ways) / SAMPLING));
      return new ReferenceCache(sets * ways, ways);
    });
  }

  see(pfn: number, age: number, counting: boolean, keeping: boolean): void {
    if (pfn % SAMPLING !== SAMPLED) return;
    const key = Math.floor(pfn / SAMPLING);
    if (counting) this.lookups += 1;
    for (const [index, cache] of this.caches.entries()) {
      const held = cache.find(key);
      if (held !== undefined) {
        held.age = age;
        if (counting) this.hits[index]! += 1;
      } else if (keeping) cache.insert(key, NOTHING, age);
    }
  }
}
