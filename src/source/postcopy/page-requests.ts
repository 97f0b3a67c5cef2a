import { SternaError } from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import type { PageName, PageRequestBody } from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { PostcopyRecord } from './postcopy-record.ts';
import type { PromisedPages } from './promised-pages.ts';
import type { PushOrder } from './push-order.ts';

export interface PageRequestsOptions {
  readonly context: OutgoingContext;
  readonly promised: PromisedPages;
  readonly order: PushOrder;
  readonly record: PostcopyRecord;
  /** Where requested pages go: the connection of their own, or the one for everything. */
  readonly channel: () => Channel;
}

/**
 * Answers PAGE_REQUEST in the very turn in which it came: the page is copied to a small slot of its
 * own and written behind nothing but what the transport has taken already. A page that was sent
 * before is under way, and the request is late.
 */
export class PageRequests {
  private readonly options: PageRequestsOptions;

  constructor(options: PageRequestsOptions) {
    this.options = options;
  }

  /**
   * Throws E_PROTOCOL_BAD_BODY for a page outside RAM, and E_PAGE_REQUEST for one that was never
   * missing.
   */
  serve({ pages }: PageRequestBody): void {
    const blocks = pages.map((page) => this.check(page));
    for (const [index, { pfn }] of pages.entries()) {
      // One was found for each page.
      this.send(blocks[index] as RamBlock, pfn);
    }
    this.options.context.reached('source.postcopy-request-served');
  }

  private check({ block: index, pfn }: PageName): RamBlock {
    const { context, promised } = this.options;
    const block = context.machine.memory.blocks[index];
    const detail = { block: index, pfn };
    if (block === undefined || pfn >= block.layout.pageCount) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Destination asked for a page outside RAM', {
        detail,
      });
    }
    if (!promised.has(block, pfn)) {
      throw new SternaError('E_PAGE_REQUEST', 'Destination asked for a page that it has', {
        detail,
      });
    }
    return block;
  }

  private send(block: RamBlock, pfn: number): void {
    const { context, record, order, channel } = this.options;
    record.requests += 1;
    order.faulted(block, pfn);
    if (!context.missingSender.hasUrgentSlot(block)) {
      throw new SternaError('E_PAGE_REQUEST', 'Destination asks for more than vCPUs can wait for');
    }
    if (block.takeDirty(pfn, pfn + 1, 1).count === 0) {
      record.lateRequests += 1;
      return;
    }
    record.remainingPages -= 1;
    record.sentPages += 1;
    context.missingSender.sendUrgent(block, channel(), context.record.pushTotals());
  }
}
