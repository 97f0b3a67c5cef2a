/** Bitmaps of pages as arrays of booleans: the twin of kernels/bitmap.ts and of gatherEmpty(). */
export interface PageBits {
  readonly dirty: boolean[];
  readonly populated: boolean[];
  /** How often each page was dirtied, up to 255. */
  readonly heat: number[];
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
    bits.heat[pfn] = Math.min(255, (bits.heat[pfn] ?? 0) + 1);
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

/** Takes up to `max` dirty pages in [downTo, from), descending. */
export function takeDirtyDown(
  dirty: boolean[],
  from: number,
  downTo: number,
  max: number,
): { readonly pfns: readonly number[]; readonly next: number } {
  const pfns: number[] = [];
  for (let pfn = from - 1; pfn >= downTo; pfn -= 1) {
    if (pfns.length === max) return { pfns, next: pfn + 1 };
    if (!dirty[pfn]) continue;
    dirty[pfn] = false;
    pfns.push(pfn);
  }
  return { pfns, next: downTo };
}

/** Takes up to `max` dirty pages from `from` on that have at least that heat. */
export function takeHottest(
  bits: PageBits,
  level: number,
  from: number,
  max: number,
): readonly number[] {
  const pfns: number[] = [];
  for (let pfn = from; pfn < bits.dirty.length && pfns.length < max; pfn += 1) {
    if (!bits.dirty[pfn] || (bits.heat[pfn] ?? 0) < level) continue;
    bits.dirty[pfn] = false;
    pfns.push(pfn);
  }
  return pfns;
}

/** A bit a page, the first page in the lowest bit. */
export function packBits(bits: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [pfn, bit] of bits.entries()) {
    if (bit) bytes[pfn >> 3] = (bytes[pfn >> 3] ?? 0) | (1 << (pfn & 7));
  }
  return bytes;
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
