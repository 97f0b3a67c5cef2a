import type { Clock } from '../base/index.ts';

/**
 * Time that may be caught up after a late timer. Without it half the rate is lost to the
 * granularity of timers at 125 MB/s. With 2 ms an idle host keeps the mean within 0.2 %, but one
 * that has other work loses a third (docs/benchmarks.md), so the level may rise to 10 ms; a burst
 * is that and one frame at most.
 */
const DEPTH_MS = 10;
/** What there is at the beginning: nothing was late yet. */
const START_MS = 2;

/**
 * Nobody sleeps longer at a stretch, so that a new rate is felt soon also after a long debt at a
 * very low one.
 */
const WAIT_MS_MAX = 50;

/**
 * A token bucket that may go into debt: a frame goes whenever the level is not negative, and then
 * its whole size is taken. So no frame has to be split and the mean rate is exact. Frames should be
 * at most about 2 ms of wire.
 */
export class RateLimiter {
  private readonly clock: Clock;
  /** 0: unlimited. */
  private bytesPerMs: number;
  private levelBytes: number;
  private settledMs: number;

  /** `bytesPerSecond` 0 = unlimited. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.clock = clock;
    this.bytesPerMs = bytesPerSecond / 1000;
    this.levelBytes = this.bytesPerMs * START_MS;
    this.settledMs = clock.nowMs();
  }

  /**
   * 0 when a frame may go now, otherwise how long to sleep before asking again (and it may then be
   * too early still).
   */
  waitMs(): number {
    if (this.bytesPerMs === 0) return 0;
    this.settle();
    // Less than a byte of debt is what rounding leaves over; its wait could be too short to move a
    // clock.
    if (this.levelBytes > -1) return 0;
    return Math.min(WAIT_MS_MAX, -this.levelBytes / this.bytesPerMs);
  }

  /** Counts a frame that goes. */
  take(bytes: number): void {
    if (this.bytesPerMs === 0) return;
    this.settle();
    this.levelBytes -= bytes;
  }

  /**
   * Changes the rate at once; what was sent at the old rate counts as sent, and a debt is paid at
   * the new one.
   */
  setRate(bytesPerSecond: number): void {
    this.settle();
    const wasUnlimited = this.bytesPerMs === 0;
    this.bytesPerMs = bytesPerSecond / 1000;
    this.levelBytes = wasUnlimited
      ? this.bytesPerMs * START_MS
      : Math.min(this.levelBytes, this.bytesPerMs * DEPTH_MS);
  }

  private settle(): void {
    const nowMs = this.clock.nowMs();
    const earnedBytes = (nowMs - this.settledMs) * this.bytesPerMs;
    this.levelBytes = Math.min(this.bytesPerMs * DEPTH_MS, this.levelBytes + earnedBytes);
    this.settledMs = nowMs;
  }
}
