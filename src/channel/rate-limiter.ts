import type { Clock } from '../base/index.ts';

/**
 * What an idle limiter saves up. Without it half the rate is lost to the granularity of timers at
 * 125 MB/s; with 2 ms the mean over one second is within 0.2 % on an idle host.
 */
const IDLE_MS = 2;
/**
 * What may be caught up when somebody waited and was woken late. A host with other work loses a
 * third of the rate without it (docs/benchmarks.md). A burst is this and one frame at most.
 */
const LATE_MS = 10;

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
    this.levelBytes = this.bytesPerMs * IDLE_MS;
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
      ? this.bytesPerMs * IDLE_MS
      : Math.min(this.levelBytes, this.bytesPerMs * LATE_MS);
  }

  private settle(): void {
    const nowMs = this.clock.nowMs();
    const earnedBytes = (nowMs - this.settledMs) * this.bytesPerMs;
    const saveMs = this.levelBytes < 0 ? LATE_MS : IDLE_MS;
    const limitBytes = Math.max(this.levelBytes, this.bytesPerMs * saveMs);
    this.levelBytes = Math.min(limitBytes, this.levelBytes + earnedBytes);
    this.settledMs = nowMs;
  }
}
