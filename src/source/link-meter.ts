import { PushWindow } from './push-window.ts';

/**
 * What the acknowledgements (PROGRESS) tell of the link: how much is under way, how fast it drains,
 * how far the peer is.
 *
 * Bandwidth is the highest delivery rate of the last two seconds, measured over spans of at least
 * 20 ms. A lower rate often only means that the sender had little to send (deltas, a rate limit),
 * which says nothing of the link; QEMU takes one unsmoothed 100 ms sample (reference: qemu, 3.12
 * trap 3).
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

export class LinkMeter {
  private readonly pushWindow = new PushWindow();
  private deliveredBytes = 0;
  private deliveredMs = 0;
  private spanStartMs: number | undefined;
  private spanStartBytes = 0;
  /**
   * Of the same span, from before a pause: many short passes are a measurement as well as a long
   * one.
   */
  private carriedMs = 0;
  private carriedBytes = 0;
  private samples: RateSample[] = [];
  private shortestRoundTripMs: number | undefined;
  private offset: { readonly ms: number; readonly errorMs: number } | undefined;

  /** The peer has received and applied `bytes` of the stream. */
  delivered(bytes: number, nowMs: number): void {
    if (bytes <= this.deliveredBytes) return;
    this.deliveredBytes = bytes;
    this.deliveredMs = nowMs;
    this.pushWindow.delivered(bytes, nowMs);
    if (this.spanStartMs === undefined) {
      this.startSpan(nowMs);
      return;
    }
    const spanMs = this.carriedMs + nowMs - this.spanStartMs;
    if (spanMs < SAMPLE_SPAN_MS) return;
    const bytesPerMs = (this.carriedBytes + bytes - this.spanStartBytes) / spanMs;
    this.carriedMs = 0;
    this.carriedBytes = 0;
    this.samples = this.samples.filter(
      (sample) => sample.atMs > nowMs - KEEP_MS && sample.bytesPerMs > bytesPerMs,
    );
    this.samples.push({ atMs: nowMs, bytesPerMs });
    this.startSpan(nowMs);
  }

  /** The sender had nothing under way, and begins again now: the time between is not the link's. */
  idle(nowMs: number): void {
    if (this.spanStartMs !== undefined) {
      this.carriedMs += Math.max(0, this.deliveredMs - this.spanStartMs);
      this.carriedBytes += this.deliveredBytes - this.spanStartBytes;
    }
    this.startSpan(nowMs);
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
    return this.deliveredBytes;
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

  private startSpan(nowMs: number): void {
    this.spanStartMs = nowMs;
    this.spanStartBytes = this.deliveredBytes;
  }
}
