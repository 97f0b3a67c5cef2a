import type { GuestClock } from '../guestmem/index.ts';

/**
 * What may be made up for after a vCPU did not get its core: more would be a burst that nobody
 * asked for.
 */
const BACKLOG_MS_MAX = 100;

/** Paces a vCPU at a number of pages per second of guest time: a pause is not made up for. */
export class PageRate {
  private readonly pagesPerMs: number;
  private readonly guestClock: Pick<GuestClock, 'nowMs'>;
  private lastMs: number;
  private credit = 0;

  constructor(pagesPerSecond: number, guestClock: Pick<GuestClock, 'nowMs'>) {
    this.pagesPerMs = pagesPerSecond / 1000;
    this.guestClock = guestClock;
    this.lastMs = guestClock.nowMs();
  }

  /** Whole pages that are due now. */
  due(): number {
    const nowMs = this.guestClock.nowMs();
    // A loaded machine state may set the clock; it never goes back otherwise.
    const passedMs = Math.max(0, nowMs - this.lastMs);
    this.lastMs = nowMs;
    const creditMax = Math.max(1, this.pagesPerMs * BACKLOG_MS_MAX);
    this.credit = Math.min(this.credit + passedMs * this.pagesPerMs, creditMax);
    return Math.floor(this.credit);
  }

  spend(pages: number): void {
    this.credit -= pages;
  }
}
