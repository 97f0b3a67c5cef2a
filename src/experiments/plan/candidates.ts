import { PAGE_BYTES } from '../../base/index.ts';
import { type PlanCandidate, usesDeltas } from './plan-setup.ts';

const CANDIDATES: readonly PlanCandidate[] = [
  { mode: 'stop', codec: 'raw' },
  { mode: 'precopy', codec: 'raw' },
  { mode: 'precopy', codec: 'lz4' },
  { mode: 'precopy', codec: 'xbzrle' },
  { mode: 'precopy', codec: 'xbzrle+lz4' },
  { mode: 'precopy', codec: 'raw', slowing: 'auto-converge' },
  { mode: 'precopy', codec: 'raw', slowing: 'dirty-limit' },
  { mode: 'hybrid', codec: 'raw' },
  { mode: 'hybrid', codec: 'lz4' },
  { mode: 'hybrid', codec: 'xbzrle' },
  { mode: 'hybrid', codec: 'xbzrle+lz4' },
  { mode: 'postcopy', codec: 'raw' },
  { mode: 'postcopy', codec: 'lz4' },
];

export interface CacheWish {
  /** As the user has set it. */
  readonly xbzrleCacheBytes: number;
  /** Another size must not be proposed. */
  readonly isCacheFixed: boolean;
  readonly hotBytes: number;
  readonly populatedBytes: number;
}

/** Every way to migrate that a plan looks at; those with deltas have a cache for the hot pages. */
export function candidates(wish: CacheWish): readonly PlanCandidate[] {
  const xbzrleCacheBytes = cacheBytes(wish);
  return CANDIDATES.map((candidate) =>
    usesDeltas(candidate.codec) ? { ...candidate, xbzrleCacheBytes } : candidate,
  );
}

/** The next power of two that holds the hot pages; more than all of RAM is for nothing. */
function cacheBytes(wish: CacheWish): number {
  const { xbzrleCacheBytes, isCacheFixed, hotBytes, populatedBytes } = wish;
  if (isCacheFixed || hotBytes <= xbzrleCacheBytes) return xbzrleCacheBytes;
  const powerOfTwo = (bytes: number) => 2 ** Math.ceil(Math.log2(Math.max(PAGE_BYTES, bytes)));
  return Math.max(xbzrleCacheBytes, powerOfTwo(Math.min(hotBytes, populatedBytes)));
}
