// The source's copy of what the destination holds, for pages worth it: 2-way set associative (Paper
// I), with QEMU's age guard: a page used in the last two passes keeps its place, or a hot set
// larger than the cache would evict itself in turn.
import { PAGE_SHIFT, cacheAges, cacheData, cacheSets, cacheTags } from './context';

export const NO_WAY: u32 = 0xffffffff;

@inline function tagOf(way: u32): u32 { return load<u32>(cacheTags() + (<usize>way << 2)); }
@inline function ageOf(way: u32): u32 { return load<u32>(cacheAges() + (<usize>way << 2)); }
@inline export function wayData(way: u32): usize { return cacheData() + (<usize>way << PAGE_SHIFT); }
@inline export function touchWay(way: u32, age: u32): void { store<u32>(cacheAges() + (<usize>way << 2), age); }

// The way that holds the page, or NO_WAY. A tag is the page's number + 1: zeroed memory is an empty
// cache.
@inline export function findWay(pfn: u32): u32 {
  const first = (pfn % cacheSets()) << 1;
  if (tagOf(first) == pfn + 1) return first;
  if (tagOf(first + 1) == pfn + 1) return first + 1;
  return NO_WAY;
}

// A way for a page that is not cached, or NO_WAY when two fresh pages hold the set. The caller
// fills wayData().
@inline export function claimWay(pfn: u32, age: u32): u32 {
  const first = (pfn % cacheSets()) << 1;
  let way = first;
  if (tagOf(first) != 0 && (tagOf(first + 1) == 0 || ageOf(first + 1) < ageOf(first))) way = first + 1;
  if (tagOf(way) != 0 && ageOf(way) + 2 > age) return NO_WAY;
  store<u32>(cacheTags() + (<usize>way << 2), pfn + 1);
  touchWay(way, age);
  return way;
}
