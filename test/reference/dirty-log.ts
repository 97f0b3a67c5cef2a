/** Bitmaps of pages as arrays of booleans: the twin of kernels/bitmap.ts and of gatherEmpty(). */
export interface PageBits {
  readonly dirty: boolean[];
  readonly populated: boolean[];
}

/** Returns the pages that were not dirty before; clears the map. */
export function mergeDirtyMap(bits: PageBits, map: Uint8Array): number {
  let added = 0;
  for (const [pfn, wasDirty] of bits.dirty.entries()) {
    if (map[pfn] === 0) continue;
    map[pfn] = 0;
    if (!wasDirty) added += 1;
    bits.dirty[pfn] = true;
    bits.populated[pfn] = true;
  }
  return added;
}

/** Takes up to `max` dirty pages in [from, to). `next` is where to go on. */
export function takeDirty(
  dirty: boolean[],
  from: number,
  to: number,
  max: number,
): { readonly pfns: readonly number[]; readonly next: number } {
  const pfns: number[] = [];
  for (let pfn = from; pfn < to; pfn += 1) {
    if (pfns.length === max) return { pfns, next: pfn };
    if (!dirty[pfn]) continue;
    dirty[pfn] = false;
    pfns.push(pfn);
  }
  return { pfns, next: to };
}

export interface EmptyRun {
  readonly pfn: number;
  readonly pages: number;
}

const RUN_PAGES_MAX = 0xffff;

/** Runs of pages that never held anything, `max` at most. `next` is where to go on. */
export function emptyRuns(
  populated: readonly boolean[],
  from: number,
  max: number,
): { readonly runs: readonly EmptyRun[]; readonly next: number } {
  const runs: EmptyRun[] = [];
  let pfn = from;
  for (;;) {
    while (pfn < populated.length && populated[pfn]) pfn += 1;
    if (pfn >= populated.length || runs.length === max) {
      return { runs, next: Math.min(pfn, populated.length) };
    }
    const first = pfn;
    while (pfn < populated.length && !populated[pfn] && pfn - first < RUN_PAGES_MAX) pfn += 1;
    runs.push({ pfn: first, pages: pfn - first });
  }
}
