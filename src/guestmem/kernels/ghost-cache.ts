// What caches of other sizes would do: tables without pages, that see one page of sixteen and have
// a sixteenth of the sets. A page number that is taken has its low bits cut off, so that a ghost
// whose size is a multiple of sixteen sets behaves as those sets of the real cache do.
import { GHOST_HITS, GHOST_LOOKUPS, cacheWays, ghostSets, ghostTable } from './context';

const GHOSTS: u32 = 5;
const SAMPLE_SHIFT: u32 = 4;
const SAMPLE_MASK: u32 = 15;
// Not 0: what guests align, they align to that.
const SAMPLED: u32 = 5;
// u32 the page's number + 1, u32 age.
const ENTRY_SHIFT: usize = 3;

@inline export function isSampled(pfn: u32): bool { return (pfn & SAMPLE_MASK) == SAMPLED; }

// The page is looked up (`counting`), and kept where it is not found (`keeping`).
export function seeGhosts(pfn: u32, age: u32, counting: bool, keeping: bool): void {
  const ways = cacheWays();
  if (counting) store<u32>(GHOST_LOOKUPS, load<u32>(GHOST_LOOKUPS) + 1);
  let table = ghostTable();
  for (let ghost: u32 = 0; ghost < GHOSTS; ghost++) {
    const sets = ghostSets(ghost);
    const first = table + ((<usize>((pfn >> SAMPLE_SHIFT) % sets) * ways) << ENTRY_SHIFT);
    const second = ways == 2 ? first + ((<usize>1) << ENTRY_SHIFT) : first;
    table += (<usize>sets * ways) << ENTRY_SHIFT;
    const held = load<u32>(first) == pfn + 1 ? first : load<u32>(second) == pfn + 1 ? second : 0;
    if (held != 0) {
      store<u32>(held, age, 4);
      const hits = GHOST_HITS + (<usize>ghost << 2);
      if (counting) store<u32>(hits, load<u32>(hits) + 1);
    } else if (keeping) {
      keep(first, second, pfn, age);
    }
  }
}

@inline function keep(first: usize, second: usize, pfn: u32, age: u32): void {
  let entry = first;
  if (load<u32>(first) != 0 && (load<u32>(second) == 0 || load<u32>(second, 4) < load<u32>(first, 4))) entry = second;
  if (load<u32>(entry) != 0 && load<u32>(entry, 4) + 2 > age) return;
  store<u32>(entry, pfn + 1);
  store<u32>(entry, age, 4);
}

// They have seen nothing: after their sizes have changed.
export function clearGhosts(): void {
  let sets: u32 = 0;
  for (let ghost: u32 = 0; ghost < GHOSTS; ghost++) sets += ghostSets(ghost);
  memory.fill(ghostTable(), 0, (<usize>sets * cacheWays()) << ENTRY_SHIFT);
}
