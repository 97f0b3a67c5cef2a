import { type Clock, type ReachFault, SternaError } from '../base/index.ts';
import type { Machine, PageFault, RamBlock } from '../guestmem/index.ts';
import {
  countPages,
  decodeJournalAck,
  decodePageMap,
  encodeAllReceived,
  encodePageMap,
  encodePageRequest,
  encodeRecovered,
  PAGE_REQUEST_PAGES_MAX,
  type PageName,
} from '../protocol/index.ts';
import type { IncomingLink } from './incoming-link.ts';
import { IncomingPostcopyRecord } from './incoming-postcopy-record.ts';
import type { IncomingRecord } from './incoming-record.ts';
import type { JournalWriter } from './journal/journal-writer.ts';

export interface PostcopyReceiverOptions {
  readonly machine: Machine;
  readonly record: IncomingRecord;
  readonly clock: Clock;
  readonly reached: ReachFault;
  /** What the guest changes is told to the source. */
  readonly journal: JournalWriter | undefined;
}

/**
 * The guest runs here while pages are missing. Tells the source which ones its vCPUs wait for, once
 * each, wakes the vCPUs when pages have come, and knows when none is missing any more. It outlives
 * the connections: what was asked for and has not come is asked for again on the next one.
 */
export class PostcopyReceiver {
  private readonly options: PostcopyReceiverOptions;
  private readonly maps = new Set<number>();
  private missing = 0;
  private link: IncomingLink | undefined;
  private stopWatching: (() => void) | undefined;
  /** Asked for, and not come yet, by block and page. */
  private readonly outstanding = new Map<string, PageName>();
  private endSeen = false;

  constructor(options: PostcopyReceiverOptions) {
    this.options = options;
  }

  /** MISSING_MAP: what is here of these pages is old. The guest does not run yet. */
  forget(index: number, body: Uint8Array): void {
    const { machine, record } = this.options;
    const block = machine.memory.blocks[index];
    if (block === undefined || this.maps.has(index)) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Missing map is of no block, or comes twice', {
        detail: { block: index },
      });
    }
    const decoded = decodePageMap('MISSING_MAP', body, block.layout.pageCount);
    if (decoded.kind === 'malformed') throw decoded.error;
    this.maps.add(index);
    this.missing += countPages(decoded.body);
    record.receivedPages -= block.forget(decoded.body.bitmap);
  }

  /** Pages that the maps have told so far. */
  get missingPages(): number {
    return this.missing;
  }

  get isComplete(): boolean {
    const { record } = this.options;
    return record.receivedPages === record.totalPages;
  }

  /** Before the guest runs: from its first step on no fault may be missed. */
  start(link: IncomingLink): void {
    const { machine, record, clock, journal } = this.options;
    this.link = link;
    record.postcopy = new IncomingPostcopyRecord(machine, this.missing, clock.nowMs());
    record.postcopy.journal = journal?.record;
    this.stopWatching = machine.faults.watch((fault) => this.faulted(fault));
    if (this.isComplete) machine.setPostcopy(false);
  }

  /** The answer to GRANT has gone out, or the maps of a recovery: requests may follow. */
  flush(): void {
    const { link } = this;
    if (!link?.maySend('PAGE_REQUEST')) return;
    const pages = [...this.outstanding.values()];
    for (let first = 0; first < pages.length; first += PAGE_REQUEST_PAGES_MAX) {
      const some = pages.slice(first, first + PAGE_REQUEST_PAGES_MAX);
      link.send('PAGE_REQUEST', encodePageRequest({ pages: some }));
    }
    this.options.journal?.linked(link);
  }

  /** JOURNAL_ACK. */
  acknowledged(body: Uint8Array): void {
    const decoded = decodeJournalAck(body);
    if (decoded.kind === 'malformed') throw decoded.error;
    const { journal } = this.options;
    if (journal !== undefined) return journal.acknowledged(decoded.body);
    throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'No journal was agreed on');
  }

  /** After each frame of pages, on whichever connection it came. */
  pagesCame(): void {
    this.noticePages();
    this.options.reached('destination.postcopy-page-applied');
    this.concludeIfComplete();
  }

  /** POSTCOPY_END. Pages may still be under way on the second connection. */
  ended(hasSecondLink: boolean): void {
    this.endSeen = true;
    this.concludeIfComplete();
    if (this.isComplete || hasSecondLink) return;
    const { record } = this.options;
    throw new SternaError('E_PAGE_MISSING', 'Source has sent everything, and pages are missing', {
      detail: { totalPages: record.totalPages, receivedPages: record.receivedPages },
    });
  }

  /** The connection is lost. vCPUs that wait go on waiting, the others run. */
  unlink(): void {
    this.link = undefined;
    this.endSeen = false;
    this.options.journal?.unlinked();
    // Of a frame that was damaged, the pages before the bad one have come.
    this.noticePages();
  }

  /** Tells the source over a new connection what has come, then what vCPUs wait for. */
  relink(link: IncomingLink, takesJournal: boolean): void {
    const { machine, record, reached, journal } = this.options;
    this.link = link;
    if (!takesJournal) journal?.end(withoutSourceRam());
    // Counted anew: a frame that was damaged has brought pages that no count knows of.
    record.receivedPages = 0;
    for (const block of machine.memory.blocks) {
      const { index, pageCount } = block.layout;
      const bitmap = block.receivedBitmap();
      record.receivedPages += countPages({ bitmap, pageCount });
      link.send('RECEIVED_MAP', encodePageMap(bitmap, pageCount), index);
      reached('destination.map-sent');
    }
    const missingPages = record.totalPages - record.receivedPages;
    link.send('RECOVERED', encodeRecovered({ missingPages }));
    this.flush();
  }

  /**
   * The guest is whole, or is given up. Resolves when nothing here touches the machine any more.
   * Never rejects.
   */
  async stop(): Promise<void> {
    this.stopWatching?.();
    this.stopWatching = undefined;
    await this.options.journal?.stop();
  }

  private noticePages(): void {
    const { machine } = this.options;
    machine.faults.wake();
    for (const [key, { block, pfn }] of this.outstanding) {
      if (isHere(machine.memory.blocks[block], pfn)) this.outstanding.delete(key);
    }
  }

  private faulted({ block, pfn }: PageFault): void {
    const { record, machine, reached } = this.options;
    const key = `${block}:${pfn}`;
    // Another vCPU waits for it, or the same one again after a pause; or it has just come.
    if (this.outstanding.has(key)) return;
    if (isHere(machine.memory.blocks[block], pfn)) return machine.faults.wake();
    this.outstanding.set(key, { block, pfn });
    if (record.postcopy !== undefined) record.postcopy.requests += 1;
    if (!this.link?.maySend('PAGE_REQUEST')) return;
    this.link.send('PAGE_REQUEST', encodePageRequest({ pages: [{ block, pfn }] }));
    reached('destination.postcopy-requested');
  }

  private concludeIfComplete(): void {
    const { machine, record, reached } = this.options;
    if (!this.isComplete) return;
    // Nothing can be missing any more, so accesses need not look.
    machine.setPostcopy(false);
    if (!this.endSeen || !this.link?.maySend('ALL_RECEIVED')) return;
    void this.stop();
    record.completeBytes = record.receivedBytes(this.link);
    record.postcopy?.end(this.options.clock.nowMs());
    const { vcpus, allBlockedMs } = machine.faults.statistics();
    const faults = vcpus.reduce((sum, vcpu) => sum + vcpu.faults, 0);
    const latencyNs = vcpus.reduce((sum, vcpu) => sum + vcpu.faults * vcpu.meanLatencyNs, 0);
    const body = {
      pages: record.totalPages,
      requestedPages: record.postcopy?.requests ?? 0,
      blocktimeMs: allBlockedMs,
      vcpuBlocktimeMs: vcpus.map(({ blockedMs }) => blockedMs),
      latencyNs: faults === 0 ? 0 : latencyNs / faults,
    };
    this.link.send('ALL_RECEIVED', encodeAllReceived(body));
    reached('destination.all-received-sent');
    record.status = 'completed';
  }
}

function withoutSourceRam(): SternaError {
  const text = 'The source was started again, and has no RAM to which points could be added';
  return new SternaError('E_STATE', text);
}

function isHere(block: RamBlock | undefined, pfn: number): boolean {
  return block?.isReceived(pfn) ?? false;
}
