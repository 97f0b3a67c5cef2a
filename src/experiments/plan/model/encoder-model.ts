import type { RamBlockDescription } from '../../../guestmem/index.ts';
import { type CodecDecision, chooseCodec } from '../../../source/index.ts';
import { type Codec, type PlanCosts, usesDeltas, usesLz4 } from '../plan-setup.ts';
import { CacheModel } from './cache-model.ts';
import type { LinkModel } from './link-model.ts';
import type { PageBits } from './page-bits.ts';
import { type PageCosts, RAW_BYTES } from './page-costs.ts';
import { TrialModel } from './trial-model.ts';

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

interface PassCosts {
  readonly whole: PageCost;
  readonly delta: PageCost;
}

const NONE: PageCost = { wireBytes: 0, encodeMs: 0 };

/**
 * What the pages of a pass become: whole or deltas, as they are or as LZ4. Which of them LZ4 pays
 * for is decided by the code that decides it in a migration.
 */
export class EncoderModel {
  private readonly setup: EncoderSetup;
  private readonly cache: CacheModel | undefined;
  private decision: CodecDecision | undefined;
  private age = 0;
  private costs: PassCosts = { whole: NONE, delta: NONE };
  /** Without LZ4, where that is looked at now and then. */
  private plainCosts: PassCosts | undefined;
  private readonly trial = new TrialModel();
  private bytesPerMs = 0;

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
    const { decision } = this;
    const costsOf = (isPacked: Pick<CodecDecision, 'pages' | 'deltas'> | undefined): PassCosts => ({
      whole: this.cost(plain, packed, isPacked?.pages, link.frameBytesPerPage),
      delta: this.cost(delta, packedDelta, isPacked?.deltas, link.frameBytesPerPage),
    });
    this.bytesPerMs = link.bytesPerMs;
    this.costs = costsOf(decision);
    // An encoder that takes next to nothing is not tried (`shortest`).
    const isTried = decision !== undefined && !decision.shortest;
    this.plainCosts =
      isTried && (decision.pages || decision.deltas) ? costsOf(undefined) : undefined;
  }

  /** A page of the pass is sent; with `keep` the cache takes it in, and time goes by. */
  costOf(pfn: number, keep: boolean): PageCost {
    const { plainCosts, trial } = this;
    const isPlain = plainCosts !== undefined && keep && trial.isLooking;
    const { delta, whole } = isPlain ? plainCosts : this.costs;
    const cost = this.isDelta(pfn, keep) ? delta : whole;
    if (plainCosts !== undefined && keep) {
      trial.spend(Math.max(cost.wireBytes / this.bytesPerMs, cost.encodeMs));
    }
    return cost;
  }

  private isDelta(pfn: number, keep: boolean): boolean {
    const { cache, age } = this;
    if (cache === undefined || age === 1) return false;
    return keep ? cache.look(pfn, age) : cache.holds(pfn);
  }

  /**
   * What the engine takes a page for that is left by the first pass (precopy/remaining-cost.ts): no
   * delta was made yet, and zeros that were there before the guest wrote tell nothing.
   */
  firstGuessBytes(link: LinkModel): number {
    const isPacked = this.decision?.pages ?? false;
    return this.setup.pages.filledBytes(isPacked) + link.frameBytesPerPage;
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
