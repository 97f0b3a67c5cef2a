import type { RamBlockDescription } from '../../../guestmem/index.ts';
import { type CodecDecision, chooseCodec } from '../../../source/index.ts';
import { type Codec, type PlanCosts, usesDeltas, usesLz4 } from '../plan-setup.ts';
import { CacheModel } from './cache-model.ts';
import type { LinkModel } from './link-model.ts';
import type { PageBits } from './page-bits.ts';
import { type PageCosts, RAW_BYTES } from './page-costs.ts';

export interface EncoderSetup {
  readonly codec: Codec;
  readonly pages: PageCosts;
  readonly costs: PlanCosts;
  readonly ramBlocks: readonly RamBlockDescription[];
  readonly xbzrleCacheBytes: number;
}

/** What a page takes on the wire and in the encoder. */
export interface PageCost {
  readonly wireBytes: number;
  readonly encodeMs: number;
}

/**
 * What the pages of a pass become: whole or deltas, as they are or as LZ4. Which of them LZ4 pays
 * for is decided by the code that decides it in a migration.
 */
export class EncoderModel {
  private readonly setup: EncoderSetup;
  private readonly cache: CacheModel | undefined;
  private decision: CodecDecision | undefined;
  private age = 0;
  private whole: PageCost = { wireBytes: 0, encodeMs: 0 };
  private delta: PageCost = { wireBytes: 0, encodeMs: 0 };

  constructor(setup: EncoderSetup) {
    this.setup = setup;
    const { codec, ramBlocks, xbzrleCacheBytes } = setup;
    if (usesDeltas(codec)) this.cache = new CacheModel(ramBlocks, xbzrleCacheBytes);
  }

  /** `lag`: intervals of the trace since the pages that are dirty now were sent last. */
  beginPass(age: number, lag: number, link: LinkModel): void {
    const { pages, costs } = this.setup;
    this.age = age;
    const isFirst = age === 1;
    const bytesOf = (lz4: boolean) => (isFirst ? pages.contentBytes(lz4) : pages.dirtyBytes(lz4));
    const { pageMs, deltaMs, lz4Ms } = costs;
    const plain = { wireBytes: bytesOf(false), encodeMs: pageMs };
    const packed = { wireBytes: bytesOf(true), encodeMs: lz4Ms };
    const delta = { wireBytes: pages.deltaBytes(lag, false), encodeMs: deltaMs };
    // A delta is shorter than its page, and takes LZ4 as much less time.
    const share = Math.min(1, delta.wireBytes / RAW_BYTES);
    const packedDelta = { wireBytes: pages.deltaBytes(lag, true), encodeMs: lz4Ms * share };
    this.decide(link, [plain, packed], [delta, packedDelta]);
    const { frameBytesPerPage } = link;
    this.whole = this.cost(plain, packed, this.decision?.pages, frameBytesPerPage);
    this.delta = this.cost(delta, packedDelta, this.decision?.deltas, frameBytesPerPage);
  }

  /** A page of the pass is sent; with `keep` the cache takes it in. */
  costOf(pfn: number, keep: boolean): PageCost {
    const { cache, age } = this;
    if (cache === undefined || age === 1) return this.whole;
    return (keep ? cache.look(pfn, age) : cache.holds(pfn)) ? this.delta : this.whole;
  }

  /**
   * The first pass keeps the pages that it finds hot, and those that went before any were known:
   * all that were dirtied during it, as far as they fit.
   */
  prime(dirtied: PageBits): void {
    const { cache } = this;
    if (cache !== undefined) dirtied.forEach((pfn) => void cache.look(pfn, 1));
  }

  private decide(
    link: LinkModel,
    [plain, packed]: readonly [PageCost, PageCost],
    [delta, packedDelta]: readonly [PageCost, PageCost],
  ): void {
    const { codec, costs } = this.setup;
    if (!usesLz4(codec)) return;
    const { bytesPerMs } = link;
    const isWaitedFor = plain.wireBytes / bytesPerMs > plain.encodeMs;
    this.decision = chooseCodec(
      {
        linkBytesPerMs: isWaitedFor ? bytesPerMs : Number.POSITIVE_INFINITY,
        gatherMsPerPage: plain.encodeMs,
        helpers: costs.lz4Helpers,
        pages: measurement(plain, packed),
        deltas: usesDeltas(codec) ? measurement(delta, packedDelta) : undefined,
      },
      this.decision,
    );
  }

  /** The sending thread gathers while helpers compress, and the slower one is waited for. */
  private cost(
    plain: PageCost,
    packed: PageCost,
    isPacked: boolean | undefined,
    frameBytes: number,
  ): PageCost {
    const { lz4Helpers } = this.setup.costs;
    if (!isPacked) return { ...plain, wireBytes: plain.wireBytes + frameBytes };
    const encodeMs =
      lz4Helpers > 0
        ? Math.max(plain.encodeMs, packed.encodeMs / lz4Helpers)
        : plain.encodeMs + packed.encodeMs;
    return { wireBytes: packed.wireBytes + frameBytes, encodeMs };
  }
}

function measurement(plain: PageCost, packed: PageCost) {
  const { wireBytes: bytesBefore } = plain;
  return { msEach: packed.encodeMs, bytesBefore, bytesAfter: packed.wireBytes };
}
