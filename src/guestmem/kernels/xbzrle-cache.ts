// The source's copy of what the destination holds, for pages worth it: 2-way set associative (Paper
// I) or direct-mapped (QEMU), with QEMU's age guard: a page used in the last two passes keeps its
// place, or a hot set larger than the cache would evict itself in turn.
//
// The table says which page is in which way, and in which slot its bytes are: so a cache of another
// size is another table, and no page is copied.
import { CACHE_FREE_COUNT, CACHE_USED_COUNT, PAGE_SHIFT, cacheData, cacheFree, cacheSets, cacheTable, cacheWays } from './context';

export const NO_WAY: u32 = 0xffffffff;

// An entry: u32 the page's number + 1 (zeroed memory is an empty cache), u32 age, u32 slot, u32 0.
const ENTRY_SHIFT: usize = 4;

@inline function entryIn(table: usize, way: u32): usize { return table + (<usize>way << ENTRY_SHIFT); }
@inline function tagOf(entry: usize): u32 { return load<u32>(entry); }
@inline function ageOf(entry: usize): u32 { return load<u32>(entry, 4); }
@inline function slotOf(entry: usize): u32 { return load<u32>(entry, 8); }

@inline export function wayData(way: u32): usize {
  return cacheData() + (<usize>slotOf(entryIn(cacheTable(), way)) << PAGE_SHIFT);
}
@inline export function touchWay(way: u32, age: u32): void { store<u32>(entryIn(cacheTable(), way), age, 4); }

// The way that holds the page, or NO_WAY.
@inline export function findWay(pfn: u32): u32 {
  const table = cacheTable(), ways = cacheWays();
  const first = (pfn % cacheSets()) * ways;
  if (tagOf(entryIn(table, first)) == pfn + 1) return first;
  if (ways == 2 && tagOf(entryIn(table, first + 1)) == pfn + 1) return first + 1;
  return NO_WAY;
}

// A way for a page that is not cached, or NO_WAY when fresh pages hold the set. The caller fills
// wayData().
export function claimWay(pfn: u32, age: u32): u32 {
  const table = cacheTable(), ways = cacheWays();
  const first = (pfn % cacheSets()) * ways;
  let way = first;
  if (ways == 2 && tagOf(entryIn(table, first)) != 0) {
    const other = entryIn(table, first + 1);
    if (tagOf(other) == 0 || ageOf(other) < ageOf(entryIn(table, first))) way = first + 1;
  }
  const entry = entryIn(table, way);
  if (tagOf(entry) == 0) store<u32>(entry, takeSlot(), 8);
  else if (ageOf(entry) + 2 > age) return NO_WAY;
  store<u32>(entry, pfn + 1);
  store<u32>(entry, age, 4);
  return way;
}

// One that was given back, or one that was never used: memory is touched only when a page is kept.
function takeSlot(): u32 {
  const free = load<u32>(CACHE_FREE_COUNT);
  if (free != 0) {
    store<u32>(CACHE_FREE_COUNT, free - 1);
    return load<u32>(cacheFree() + (<usize>(free - 1) << 2));
  }
  const slot = load<u32>(CACHE_USED_COUNT);
  store<u32>(CACHE_USED_COUNT, slot + 1);
  return slot;
}

function giveBack(slot: u32): void {
  const free = load<u32>(CACHE_FREE_COUNT);
  store<u32>(cacheFree() + (<usize>free << 2), slot);
  store<u32>(CACHE_FREE_COUNT, free + 1);
}

// Fills the table at `to`, of another shape, from the present one. Of pages that meet in a set
// those stay that were used last, and of equals the first. Returns how many stay.
export function rehashCache(to: usize, sets: u32, ways: u32): u32 {
  if (sets == 0) {
    store<u32>(CACHE_USED_COUNT, 0);
    store<u32>(CACHE_FREE_COUNT, 0);
    return 0;
  }
  memory.fill(to, 0, (<usize>sets * ways) << ENTRY_SHIFT);
  const from = cacheTable(), count = cacheSets() * cacheWays();
  let kept: u32 = 0;
  for (let way: u32 = 0; way < count; way++) {
    const entry = entryIn(from, way);
    if (tagOf(entry) == 0) continue;
    const place = placeFor(entryIn(to, ((tagOf(entry) - 1) % sets) * ways), ways);
    if (tagOf(place) == 0) kept++;
    else if (ageOf(place) < ageOf(entry)) giveBack(slotOf(place));
    else {
      giveBack(slotOf(entry));
      continue;
    }
    v128.store(place, v128.load(entry));
  }
  return kept;
}

// An empty entry of a set, else the one that was used longest ago, of equals the last.
@inline function placeFor(set: usize, ways: u32): usize {
  if (ways == 1 || tagOf(set) == 0) return set;
  const second = entryIn(set, 1);
  return tagOf(second) == 0 || ageOf(second) <= ageOf(set) ? second : set;
}
