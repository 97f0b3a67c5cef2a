/**
 * How much may be under way while vCPUs wait for pages behind it: what the wire holds anyhow, and a
 * queue of 1 ms (docs/adr/0012).
 *
 * Where the answer takes longer for another reason than the wire, because the peer's processor has
 * other work, such a queue starves the link; the rate that is then measured is lower, and with it
 * the next window, down to nothing. From the answers alone the two cannot be told apart. So the
 * queue is tried a little longer and a little shorter from time to time: longer is kept when more
 * came through, shorter when no less did. A slow wire goes back to 1 ms by that.
 */
const QUEUE_MS_MIN = 1;
const QUEUE_MS_MAX = 8;
const TRY_FACTOR = 1.5;
/** A try shows only when what was sent before it has been answered. */
const SETTLE_MS = 20;
const TRY_MS = 60;
/** Of the rate before. A link that was the limit gains nothing by a longer queue. */
const GAIN_MIN = 1.2;
const LOSS_MAX = 0.9;

/** At least a few frames, or a slow link would stand idle between them. */
const WINDOW_BYTES_MIN = 20 * 2 ** 10;
const QUEUE_BYTES_MAX = 2 ** 20;
const WINDOW_BYTES_UNMEASURED = 128 * 2 ** 10;

type Try = 'none' | 'longer' | 'shorter';

export class PushWindow {
  private queueMs = QUEUE_MS_MIN;
  private now: Try = 'none';
  private lastTry: Try = 'shorter';
  /** Bytes per millisecond while nothing was tried, or at the last try that was kept. */
  private rateBefore = 0;
  private startMs: number | undefined;
  private settled: { readonly bytes: number; readonly ms: number } | undefined;

  /** The peer has `bytes` of the stream. */
  delivered(bytes: number, nowMs: number): void {
    this.startMs ??= nowMs;
    const elapsedMs = nowMs - this.startMs;
    if (elapsedMs < SETTLE_MS) return;
    if (this.settled === undefined) this.settled = { bytes, ms: nowMs };
    else if (elapsedMs >= TRY_MS) {
      this.judge((bytes - this.settled.bytes) / (nowMs - this.settled.ms));
      this.startMs = nowMs;
      this.settled = undefined;
    }
  }

  /** `bytesPerMs`: the measured rate of the link, if there is one. */
  bytes(bytesPerMs: number | undefined, roundTripMs: number): number {
    if (bytesPerMs === undefined) return WINDOW_BYTES_UNMEASURED;
    const queuedBytes = Math.min(QUEUE_BYTES_MAX, bytesPerMs * this.triedQueueMs);
    return Math.max(WINDOW_BYTES_MIN, bytesPerMs * roundTripMs + queuedBytes);
  }

  private get triedQueueMs(): number {
    if (this.now === 'longer') return Math.min(QUEUE_MS_MAX, this.queueMs * TRY_FACTOR);
    if (this.now === 'shorter') return Math.max(QUEUE_MS_MIN, this.queueMs / TRY_FACTOR);
    return this.queueMs;
  }

  private judge(rate: number): void {
    const isKept =
      (this.now === 'longer' && rate > this.rateBefore * GAIN_MIN) ||
      (this.now === 'shorter' && rate > this.rateBefore * LOSS_MAX);
    const wasNone = this.now === 'none';
    if (isKept) this.queueMs = this.triedQueueMs;
    if (isKept || wasNone) this.rateBefore = rate;
    // What was kept may be worth another step the same way.
    if (wasNone) this.now = this.lastTry === 'shorter' ? 'longer' : 'shorter';
    else if (!isKept) this.now = 'none';
    if (this.now !== 'none') this.lastTry = this.now;
    if (this.triedQueueMs === this.queueMs) this.now = 'none';
  }
}
