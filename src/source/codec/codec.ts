import type { Clock, CodecChoice, CodecInfo } from '../../base/index.ts';
import {
  type CompressRequest,
  type CompressResult,
  compressBody,
  type GatherResult,
  probeBody,
  type RamBlock,
} from '../../guestmem/index.ts';
import type { Interrupt } from '../interrupt.ts';
import { type CodecDecision, chooseCodec, NOTHING } from './choose-codec.ts';
import type { CodecHelpers, TimedResult } from './codec-helpers.ts';
import { CodecTrial } from './codec-trial.ts';
import { EncoderMeter } from './encoder-meter.ts';
import { type LinkState, LinkUse } from './link-use.ts';

/** Of the memory of a block: for the thread of the migration. */
const OWN_LANE = 0;
/** The trip to another thread and back takes as long as so many pages. */
const HELPER_PAGES_MIN = 32;
/**
 * While LZ4 does not pay, so few pages are tried now and then, in case the guest has changed: less
 * often each time.
 */
const SAMPLE_PAGES = 8;
const SAMPLE_MS_MIN = 50;
const SAMPLE_MS_MAX = 400;
/** What has paid for so long may be off for a moment. What has not is tried less often again. */
const PROVED_MS = 500;
/** Of a frame, while nothing is known of the link: it may be a fast one. */
const UNKNOWN_PAGES_MAX = 64;
/** To start a thread takes as long as to compress tens of MiB. */
const HELPERS_AFTER_MS = 100;
/** In post-copy a requested page must not wait for more than these to be compressed. */
const URGENT_PAGES_MAX = 32;
/** In the mean of a frame; kernels/compress.ts asks the same of each. */
const DELTA_BYTES_MIN = 64;

/** A body that was made at `address` of a block, before it goes out. */
export interface MadeBody {
  readonly block: RamBlock;
  readonly address: number;
  readonly frame: GatherResult;
  readonly gatherMs: number;
}

/**
 * What a compressed frame is; the time is what the sender would wait for it if it was the slowest.
 */
export interface CodedBody extends TimedResult {
  /** No helper was free. */
  readonly wasBusy: boolean;
}

/**
 * LZ4 for the pages and deltas of one migration, where that pays. Bodies are rewritten in place, in
 * this thread or in a helper's; whoever sends them keeps them in order.
 */
export class Codec {
  readonly use = new LinkUse();
  private readonly clock: Clock;
  private readonly choice: CodecChoice;
  private readonly helpers: CodecHelpers | undefined;
  private readonly meter = new EncoderMeter();
  private readonly trial = new CodecTrial();
  private isAgreed = false;
  private decision: CodecDecision = NOTHING;
  private sampledMs = Number.NEGATIVE_INFINITY;
  private sampleMs = SAMPLE_MS_MIN;
  private isLinkKnown = false;
  /** Since when something is compressed over a link whose rate was measured. */
  private steadySinceMs: number | undefined;
  private gatheredPages = 0;
  private gatheredMs = 0;

  constructor(clock: Clock, choice: CodecChoice, helpers?: CodecHelpers) {
    this.clock = clock;
    this.choice = choice;
    this.helpers = helpers;
  }

  /** The destination has said that it reads LZ4. */
  agree(): void {
    this.isAgreed = true;
  }

  /** Whether `gather` compares long deltas with LZ4 of their pages. */
  get wantsShortest(): boolean {
    return this.isAgreed && this.wanted().shortest;
  }

  /** Waits a moment for the first answers, before much goes over a link that is not known. */
  async look(interrupt: Interrupt, link: () => LinkState): Promise<void> {
    if (!this.isAgreed || this.choice !== 'auto') return;
    for (let ms = this.use.lookMs(link()); ms > 0; ms = this.use.lookMs(link())) {
      await interrupt.waitFor(ms);
    }
  }

  /** Helpers have bodies, so there is reason to make more of them ahead. */
  get isAhead(): boolean {
    return this.helpers !== undefined && this.helpers.underWay > 0;
  }

  info(): CodecInfo {
    const { choice, isAgreed } = this;
    const { pages, deltas } = isAgreed ? this.wanted() : NOTHING;
    return { choice, isAgreed, pages, deltas };
  }

  /** Ends the helpers; afterwards nobody but the guest writes to its memory. */
  async close(): Promise<void> {
    await this.helpers?.close();
  }

  /**
   * Undefined: the body stays as it is. A promise: a helper has it. `alone`: in this thread, and no
   * longer than a vCPU may wait.
   */
  encode(
    body: MadeBody,
    link: () => LinkState,
    alone = false,
  ): CodedBody | Promise<CodedBody> | undefined {
    const { frame } = body;
    if (!this.isAgreed || this.choice === 'none' || frame.bodyBytes === 0) return undefined;
    this.noteGather(frame, body.gatherMs);
    const decision = this.decide(link);
    const pages = decision.pages ? frame.rawPages : 0;
    const tries = pages + (decision.deltas && hasLongDeltas(frame) ? frame.xbzrlePages : 0);
    if (tries === 0) {
      this.trial.made(frame.bodyBytes, frame.bodyBytes);
      this.sample(body, alone);
      return undefined;
    }
    const max = this.isLinkKnown || this.choice !== 'auto' ? tries : UNKNOWN_PAGES_MAX;
    const request = requestOf(body, decision, alone ? URGENT_PAGES_MAX : max);
    if (alone || tries < HELPER_PAGES_MIN || !this.helpers?.count) {
      return { ...this.compress(body.block, request), wasBusy: false };
    }
    return this.delegate(body.block, request, this.helpers);
  }

  private decide(link: () => LinkState): CodecDecision {
    if (this.choice !== 'auto') return this.wanted();
    const ready = this.helpers?.ready ?? 0;
    const state = link();
    const linkBytesPerMs = this.use.bytesPerMs(state);
    this.isLinkKnown = linkBytesPerMs !== undefined;
    const measured = {
      linkBytesPerMs,
      gatherMsPerPage: this.gatheredMs / Math.max(1, this.gatheredPages),
      helpers: ready > 0 ? ready : (this.helpers?.count ?? 0),
      pages: this.meter.pages,
      deltas: this.meter.deltas,
    };
    const { pages, deltas, shortest: isFree } = this.decision;
    const isAllowed = this.trial.allows(state, pages || deltas, isFree);
    this.decision = isAllowed ? chooseCodec(measured, this.decision) : NOTHING;
    const isSteady = state.measuredBytesPerMs !== undefined && this.decision.pages;
    this.steadySinceMs = isSteady ? (this.steadySinceMs ?? state.nowMs) : undefined;
    if (this.isSteadyFor(PROVED_MS)) this.sampleMs = SAMPLE_MS_MIN;
    return this.decision;
  }

  /** By the user, or by what was decided last. */
  private wanted(): CodecDecision {
    const { choice } = this;
    if (choice === 'auto') return this.decision;
    if (choice === 'none') return NOTHING;
    const pages = choice !== 'delta-lz4';
    return { pages, deltas: choice !== 'lz4', shortest: pages };
  }

  private delegate(
    block: RamBlock,
    request: CompressRequest,
    helpers: CodecHelpers,
  ): CodedBody | Promise<CodedBody> {
    if (this.needsHelpers()) helpers.prepare();
    if (helpers.ready === 0) return { ...this.compress(block, request), wasBusy: true };
    const wasBusy = helpers.underWay >= helpers.ready;
    return helpers.compress(block, request).then(({ made, ms }) => {
      this.note(request, made, ms);
      return { made, ms: ms / Math.max(1, helpers.ready), wasBusy };
    });
  }

  /** A short migration, or one over a fast link, would be over before they run. */
  private needsHelpers(): boolean {
    if (this.choice !== 'auto') return true;
    return this.isSteadyFor(HELPERS_AFTER_MS);
  }

  private isSteadyFor(ms: number): boolean {
    const { steadySinceMs } = this;
    return steadySinceMs !== undefined && this.clock.nowMs() - steadySinceMs >= ms;
  }

  private sample({ block, address, frame }: MadeBody, alone: boolean): void {
    const { bodyBytes, tableBytes, rawPages, xbzrlePages } = frame;
    const pages = rawPages + xbzrlePages;
    const nowMs = this.clock.nowMs();
    const isDue = nowMs - this.sampledMs >= this.sampleMs;
    if (this.choice !== 'auto' || alone || pages === 0 || !isDue) return;
    if (this.sampledMs > 0) this.sampleMs = Math.min(SAMPLE_MS_MAX, this.sampleMs * 2);
    this.sampledMs = nowMs;
    const stride = Math.max(1, Math.floor(pages / SAMPLE_PAGES));
    const tried = probeBody(block, OWN_LANE, { address, bodyBytes, tableBytes, stride });
    this.meter.add(tried, this.clock.nowMs() - nowMs, nowMs);
  }

  private compress(block: RamBlock, request: CompressRequest): TimedResult {
    const startMs = this.clock.nowMs();
    const made = compressBody(block, OWN_LANE, request);
    const ms = this.clock.nowMs() - startMs;
    this.note(request, made, ms);
    return { made, ms };
  }

  private note({ bodyBytes }: CompressRequest, made: CompressResult, ms: number): void {
    this.meter.add(made, ms, this.clock.nowMs());
    this.trial.made(bodyBytes, made.bodyBytes);
  }

  private noteGather({ rawPages, xbzrlePages, unchangedPages }: GatherResult, ms: number): void {
    const pages = rawPages + xbzrlePages + unchangedPages;
    if (this.gatheredPages > 1024) {
      this.gatheredPages /= 2;
      this.gatheredMs /= 2;
    }
    this.gatheredPages += pages;
    this.gatheredMs += ms;
  }
}

/** Short ones, of a few words each, do not get shorter. */
function hasLongDeltas({ xbzrlePages, xbzrleBytes }: GatherResult): boolean {
  return xbzrleBytes >= xbzrlePages * DELTA_BYTES_MIN;
}

function requestOf(
  { address, frame }: MadeBody,
  { pages, deltas }: Pick<CodecDecision, 'pages' | 'deltas'>,
  maxTries: number,
): CompressRequest {
  const { bodyBytes, tableBytes } = frame;
  return { address, bodyBytes, tableBytes, pages, deltas, maxTries };
}
