export interface CachedPage {
  readonly pfn: number;
  age: number;
  readonly content: Uint8Array;
}

/** 2-way set associative, with the age guard: the twin of kernels/xbzrle-cache.ts. */
export class ReferenceCache {
  private readonly sets: (CachedPage | undefined)[][];

  constructor(ways: number) {
    this.sets = Array.from({ length: ways / 2 }, () => [undefined, undefined]);
  }

  find(pfn: number): CachedPage | undefined {
    return this.setOf(pfn).find((cached) => cached?.pfn === pfn);
  }

  /** False when two fresh pages hold the set. */
  insert(pfn: number, content: Uint8Array, age: number): boolean {
    const set = this.setOf(pfn);
    const way = victim(set);
    const resident = set[way];
    if (resident !== undefined && resident.age + 2 > age) return false;
    set[way] = { pfn, age, content: Uint8Array.from(content) };
    return true;
  }

  get pages(): readonly CachedPage[] {
    return this.sets.flat().filter((cached) => cached !== undefined);
  }

  private setOf(pfn: number): (CachedPage | undefined)[] {
    return this.sets[pfn % this.sets.length]!;
  }
}

/** An empty way, else the one that was used less lately, else the first. */
function victim([first, second]: readonly (CachedPage | undefined)[]): number {
  if (first === undefined) return 0;
  if (second === undefined) return 1;
  return second.age < first.age ? 1 : 0;
}
