import { PushWindow } from './push-window.ts';

/**
 * What the acknowledgements (PROGRESS) tell of the link: how much is under way, how fast it drains,
 * how far the peer is.
 *
 * Bandwidth is the highest delivery rate of the last two seconds, measured over spans of at least
 * 20 ms. A lower rate often only means that the sender had little to send (deltas, a rate limit),
 * which says nothing of the link; QEMU takes one unsmoothed 100 ms sample (reference: qemu, 3.12
 * trap 3).
 *
 * Nor may a rate be too high. A peer that was busy with something else reads at once what the link
 * has brought meanwhile, and acknowledges in a burst several times as fast as the link is. So a
 * span takes as long as its bytes took to be acknowledged, or to be sent, whichever was longer; and
 * it ends with bytes that were sent after it began (the delivery rate of TCP's BBR, Cardwell et al.
 * 2016, holds by the same two rules).
 */
const SAMPLE_SPAN_MS = 20;
const KEEP_MS = 2000;
/**
 * Round trips are dominated by queues, so a window of two shortest ones and 25 ms of wire never
 * starves the link.
 */
const WINDOW_MS = 25;
const WINDOW_BYTES_MIN = 2 ** 20;
const WINDOW_BYTES_MAX = 64 * 2 ** 20;
const WINDOW_BYTES_UNMEASURED = 8 * 2 ** 20;
interface RateSample {
  readonly atMs: number;
  readonly bytesPerMs: number;
}

/** The stream up to `bytes`. */
interface Mark {
  readonly bytes: number;
  /** When it was acknowledged, and when its last bytes were sent. */
  readonly ms: number;
  readonly sentMs: number;
}

export class LinkMeter {
  private readonly pushWindow = new PushWindow();
  private newest: Mark = { bytes: 0, ms: 0, sentMs: 0 };
  private spanStart: Mark | undefined;
  /** What is under way, oldest first; each entry ends at `bytes` of the stream. */
  private readonly underWay: { readonly bytes: number; readonly ms: number }[] = [];
  /**
   * Of the same span, from before a pause: many short passes are a measurement as well as a long
   * one.
   */
  private carriedMs = 0;
  private carriedBytes = 0;
  private samples: RateSample[] = [];
  private shortestRoundTripMs: number | undefined;
  private offset: { readonly ms: number; readonly errorMs: number } | undefined;

  /** The stream up to `bytes` was given to the transport. */
  sent(bytes: number, nowMs: number): void {
    this.underWay.push({ bytes, ms: nowMs });
  }

  /** The peer has received and applied `bytes` of the stream. */
  delivered(bytes: number, nowMs: number): void {
    if (bytes <= this.newest.bytes) return;
    this.newest = { bytes, ms: nowMs, sentMs: this.sentMsOf(bytes, nowMs) };
    this.pushWindow.delivered(bytes, nowMs);
    if (this.spanStart === undefined) {
      this.spanStart = this.newest;
      return;
    }
    if (!this.isWholeRound(this.spanStart)) return;
    const spanMs = this.carriedMs + this.lengthMs(this.spanStart);
    if (spanMs < SAMPLE_SPAN_MS) return;
    const bytesPerMs = (this.carriedBytes + bytes - this.spanStart.bytes) / spanMs;
    this.carriedMs = 0;
    this.carriedBytes = 0;
    this.samples = this.samples.filter(
      (sample) => sample.atMs > nowMs - KEEP_MS && sample.bytesPerMs > bytesPerMs,
    );
    this.samples.push({ atMs: nowMs, bytesPerMs });
    this.spanStart = this.newest;
  }

  /** The sender had nothing under way, and begins again now: the time between is not the link's. */
  idle(nowMs: number): void {
    if (this.spanStart !== undefined && this.isWholeRound(this.spanStart)) {
      this.carriedMs += this.lengthMs(this.spanStart);
      this.carriedBytes += this.newest.bytes - this.spanStart.bytes;
    }
    this.spanStart = { bytes: this.newest.bytes, ms: nowMs, sentMs: nowMs };
  }

  /** A PONG came. `peerTimeMs` is the peer's clock somewhere between `sentMs` and `nowMs`. */
  roundTrip(sentMs: number, nowMs: number, peerTimeMs: number): void {
    const roundTripMs = nowMs - sentMs;
    if (this.shortestRoundTripMs !== undefined && roundTripMs >= this.shortestRoundTripMs) return;
    this.shortestRoundTripMs = roundTripMs;
    this.offset = { ms: peerTimeMs - (sentMs + nowMs) / 2, errorMs: roundTripMs / 2 };
  }

  get roundTripMs(): number {
    return this.shortestRoundTripMs ?? 0;
  }

  /** What to add to a time of this side to get the peer's clock, and how wrong that may be. */
  get clockOffset(): { readonly ms: number; readonly errorMs: number } | undefined {
    return this.offset;
  }

  get acknowledgedBytes(): number {
    return this.newest.bytes;
  }

  /** Undefined until something was measured. */
  get bytesPerMs(): number | undefined {
    // The list is kept decreasing by rate, so the first sample is the highest of those kept.
    return this.samples[0]?.bytesPerMs;
  }

  /**
   * Unacknowledged bytes beyond which the sender waits, so that neither a cancel nor the switch
   * queues behind them.
   */
  get windowBytes(): number {
    const rate = this.bytesPerMs;
    if (rate === undefined) return WINDOW_BYTES_UNMEASURED;
    const bytes = rate * (2 * this.roundTripMs + WINDOW_MS);
    return Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, bytes));
  }

  /** The same while vCPUs wait for pages behind them. */
  get pushWindowBytes(): number {
    return this.pushWindow.bytes(this.bytesPerMs, this.roundTripMs);
  }

  /** When the last bytes before `bytes` were sent; now, where nobody has said. */
  private sentMsOf(bytes: number, nowMs: number): number {
    const { underWay } = this;
    const rest = underWay.findIndex((frame) => frame.bytes > bytes);
    const gone = underWay.splice(0, rest === -1 ? underWay.length : rest);
    return gone.at(-1)?.ms ?? underWay[0]?.ms ?? nowMs;
  }

  private isWholeRound(start: Mark): boolean {
    return this.newest.sentMs >= start.ms;
  }

  private lengthMs(start: Mark): number {
    const { ms, sentMs } = this.newest;
    return Math.max(0, ms - start.ms, sentMs - start.sentMs);
  }
}
