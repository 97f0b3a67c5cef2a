export interface CachedPage {
  readonly pfn: number;
  age: number;
  readonly content: Uint8Array;
}

type Set = (CachedPage | undefined)[];

/** Set associative or direct-mapped, with the age guard: the twin of kernels/xbzrle-cache.ts. */
export class ReferenceCache {
  private sets: Set[];
  private readonly ways: number;

  constructor(pages: number, ways = 2) {
    this.ways = ways;
    this.sets = emptySets(pages, ways);
  }

  find(pfn: number): CachedPage | undefined {
    return this.setOf(pfn).find((cached) => cached?.pfn === pfn);
  }

  /** False when fresh pages hold the set. */
  insert(pfn: number, content: Uint8Array, age: number): boolean {
    const set = this.setOf(pfn);
    const way = victim(set);
    const resident = set[way];
    if (resident !== undefined && resident.age + 2 > age) return false;
    set[way] = { pfn, age, content: Uint8Array.from(content) };
    return true;
  }

  /** Of pages that meet in a set of the new size, those stay that were used last. */
  resize(pages: number): void {
    const { pages: held } = this;
    this.sets = emptySets(pages, this.ways);
    if (this.sets.length === 0) return;
    for (const page of held) {
      const set = this.setOf(page.pfn);
      const free = set.indexOf(undefined);
      const way = free >= 0 ? free : oldest(set);
      const resident = set[way];
      if (resident === undefined || resident.age < page.age) set[way] = page;
    }
  }

  get pages(): readonly CachedPage[] {
    return this.sets.flat().filter((cached) => cached !== undefined);
  }

  private setOf(pfn: number): Set {
    return this.sets[pfn % this.sets.length]!;
  }
}

function emptySets(pages: number, ways: number): Set[] {
  return Array.from({ length: Math.floor(pages / ways) }, () =>
    Array.from({ length: ways }, () => undefined),
  );
}

/** An empty way, else the one that was used less lately, else the first. */
function victim(set: Set): number {
  const free = set.indexOf(undefined);
  if (free >= 0) return free;
  return set.length === 2 && set[1]!.age < set[0]!.age ? 1 : 0;
}

/** The one that was used less lately, else the last. */
function oldest(set: Set): number {
  return set.length === 2 && set[1]!.age <= set[0]!.age ? 1 : 0;
}
