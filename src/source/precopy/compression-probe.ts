import { PAGE_BYTES } from '../../base/index.ts';
import { type ChangedPages, ChangeProbe } from '../../guestmem/index.ts';
import { PAGE_ENTRY_BYTES } from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { CompressionProspects, EncodedPage } from '../policy/diagnosis.ts';
import type { PolicyRound } from '../policy/policy.ts';
import { workingSetPages } from '../policy/trend.ts';

/** Of all dirty pages: to compare them takes less than a millisecond. */
const COPIES = 16;
/** Not more often, however short the passes are. */
const LOOK_MS_MIN = 100;
/** Fewer say nothing. */
const PAGES_MIN = 8;
/** What was seen before counts half at each look. */
const FADING = 0.5;

interface Seen extends ChangedPages {
  /** Pages that were copied, of which `pages` were dirty again. */
  readonly copied: number;
}

/**
 * What deltas and LZ4 would make of the pages that a guest dirties, for a migration that has not
 * got them: a few of these pages are copied after a pass, and encoded after a later one.
 */
export class CompressionProbe {
  private readonly context: OutgoingContext;
  private readonly probes: readonly ChangeProbe[];
  private copied = 0;
  private copiedMs = Number.NEGATIVE_INFINITY;
  /** Dirty when the copies were made; and when those were that were compared last. */
  private dirtyPages = 0;
  private dirtyBefore = 0;
  private seen: Seen = { copied: 0, pages: 0, deltaBytes: 0, lz4Bytes: 0, lz4Ms: 0 };

  constructor(context: OutgoingContext) {
    this.context = context;
    this.probes = context.machine.memory.blocks.map((block) => new ChangeProbe(block));
  }

  /** After a pass, while the guest runs on. */
  sample(): void {
    const { clock } = this.context;
    if (!this.isWanted || clock.nowMs() - this.copiedMs < LOOK_MS_MIN) return;
    this.compare();
    this.copy();
    this.copiedMs = clock.nowMs();
  }

  /** Empty where there is nothing to advise, and while too little was seen. */
  prospects(round: PolicyRound): CompressionProspects {
    const { seen } = this;
    if (!this.isWanted || seen.pages < PAGES_MIN) return {};
    const xbzrle = this.deltaPage(round);
    const isPlain = this.context.parameters.codec === 'none';
    return isPlain ? { xbzrle, lz4: lz4Page(seen, round) } : { xbzrle };
  }

  /** LZ4 beside deltas is another question: of the pages that the cache does not hold. */
  private get isWanted(): boolean {
    return !this.context.capabilities.xbzrle;
  }

  private compare(): void {
    const { seen } = this;
    const { clock } = this.context;
    const counts = this.probes.map((probe) => probe.compare(() => clock.nowMs()));
    const faded = (of: keyof Seen, more: number) => seen[of] * FADING + more;
    const sum = (of: keyof ChangedPages) => counts.reduce((total, count) => total + count[of], 0);
    this.seen = {
      copied: faded('copied', this.copied),
      pages: faded('pages', sum('pages')),
      deltaBytes: faded('deltaBytes', sum('deltaBytes')),
      lz4Bytes: faded('lz4Bytes', sum('lz4Bytes')),
      lz4Ms: faded('lz4Ms', sum('lz4Ms')),
    };
    this.dirtyBefore = this.dirtyPages;
  }

  private copy(): void {
    const { machine } = this.context;
    const dirty = machine.memory.blocks.map((block) => block.countDirty());
    this.dirtyPages = dirty.reduce((total, pages) => total + pages, 0);
    this.copied = 0;
    for (const [index, probe] of this.probes.entries()) {
      const share = (dirty[index] ?? 0) / Math.max(1, this.dirtyPages);
      this.copied += probe.copy(Math.ceil(COPIES * share));
    }
  }

  /**
   * Only a page that was dirty before was sent before, and the cache holds no more than it can. A
   * page that is written for the first time goes whole.
   */
  private deltaPage(round: PolicyRound): EncodedPage {
    const { pages, copied, deltaBytes } = this.seen;
    const again = (pages / Math.max(1, copied)) * this.dirtyBefore;
    const cachePages = this.context.parameters.xbzrleCacheBytes / PAGE_BYTES;
    const heldShare = Math.min(1, cachePages / Math.max(1, workingSetPages(round.history)));
    const share = Math.min(1, again / Math.max(1, round.remainingPages)) * heldShare;
    const delta = PAGE_ENTRY_BYTES + deltaBytes / pages;
    const wireBytesPerPage = share * delta + (1 - share) * round.wireBytesPerPage;
    return { wireBytesPerPage, encodeMsPerPage: round.encodeMsPerPage };
  }
}

/** In the thread that sends, whatever helpers there are. */
function lz4Page({ pages, lz4Bytes, lz4Ms }: Seen, { encodeMsPerPage }: PolicyRound): EncodedPage {
  return {
    wireBytesPerPage: PAGE_ENTRY_BYTES + lz4Bytes / pages,
    encodeMsPerPage: encodeMsPerPage + lz4Ms / pages,
  };
}
