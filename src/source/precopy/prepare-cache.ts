import { PAGE_BYTES } from '../../base/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';

/** Sizes the XBZRLE caches of all blocks, and empties them. */
export function prepareCache(context: OutgoingContext): void {
  const { machine, capabilities, parameters, record } = context;
  const { blocks, pageCount } = machine.memory;
  const wanted = capabilities.xbzrle ? parameters.xbzrleCacheBytes / PAGE_BYTES : 0;
  const pages = blocks.map((block) =>
    // A set of two pages at least, or a small block of a large guest would have no cache to look
    // into.
    block.resetCache(
      wanted && Math.max(2, Math.floor((wanted * block.layout.pageCount) / pageCount)),
    ),
  );
  record.cacheBytes = pages.reduce((sum, count) => sum + count, 0) * PAGE_BYTES;
}
