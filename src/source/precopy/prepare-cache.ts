import { type GhostCache, PAGE_BYTES } from '../../base/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';

/** Sizes the XBZRLE caches of all blocks, and empties them. */
export function prepareCache(context: OutgoingContext): void {
  const { machine, capabilities, parameters, record } = context;
  const { blocks } = machine.memory;
  const ways = parameters.xbzrleCacheWays === '1' ? 1 : 2;
  shareOut(context, ({ cache }, pages) => cache.reset(pages, ways));
  if (!capabilities.xbzrle) return;
  record.cacheShape = () => ({
    cacheBytes: blocks.reduce((sum, { cache }) => sum + cache.capacityPages, 0) * PAGE_BYTES,
    ways,
    ghosts: ghostsOf(blocks),
  });
}

/**
 * Sizes them anew while pages are sent: what fits stays. Between two frames, which is whenever
 * somebody else than the sender has its turn.
 */
export function resizeCache(context: OutgoingContext): void {
  shareOut(context, ({ cache }, pages) => cache.resize(pages));
}

function shareOut(
  { machine, capabilities, parameters }: OutgoingContext,
  size: (block: RamBlock, pages: number) => number,
): void {
  const { blocks, pageCount } = machine.memory;
  const wanted = capabilities.xbzrle ? parameters.xbzrleCacheBytes / PAGE_BYTES : 0;
  for (const block of blocks) {
    // A set of two pages at least, or a small block of a large guest would have no cache to look
    // into.
    const share = Math.max(2, Math.floor((wanted * block.layout.pageCount) / pageCount));
    size(block, wanted && share);
  }
}

/** The blocks' ghosts of one factor together; empty before anything was looked up. */
function ghostsOf(blocks: readonly RamBlock[]): GhostCache[] {
  const [first, ...others] = blocks.map(({ cache }) => cache.ghosts());
  return (first ?? []).flatMap((ghost, index) => {
    const same = [ghost, ...others.flatMap((ghosts) => ghosts[index] ?? [])];
    const sum = (field: keyof typeof ghost) => same.reduce((total, { [field]: n }) => total + n, 0);
    const lookups = sum('lookups');
    if (lookups === 0) return [];
    return { cacheBytes: sum('pages') * PAGE_BYTES, hitRate: sum('hits') / lookups };
  });
}
