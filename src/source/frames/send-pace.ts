import { BATCH_PAGES_MAX, type Clock, PAGE_BYTES } from '../../base/index.ts';
import { RateLimiter } from '../../channel/index.ts';
import type { LinkState } from '../codec/link-use.ts';
import type { LinkMeter } from '../link-meter.ts';

/**
 * A frame takes about 2 ms of a limited link, or the limit would come in bursts (docs/adr/0003).
 */
const FRAME_MS = 2;
const BATCH_PAGES_MIN = 4;
/** In post-copy a page that is waited for goes behind a frame of this at most (docs/adr/0012). */
const PUSH_PAGES_MAX = 128;
const PUSH_PAGES_MIN = 2;
const PUSH_FRAME_MS = 0.5;
/** Of a link of which nothing is known; it may be a slow one. */
const PUSH_PAGES_UNMEASURED = 16;

/**
 * How fast a sender goes: how large its next frame may be, when that may go, and how much may be
 * under way. The user's limit and a policy's hold together, as the lower one of the two.
 */
export class SendPace {
  private readonly clock: Clock;
  private readonly meter: LinkMeter;
  private readonly limiter: RateLimiter;
  private limitBytesPerSecond: number;
  private userBytesPerSecond: number;
  private policyBytesPerSecond = 0;
  private isPushing = false;

  constructor(clock: Clock, meter: LinkMeter, limitBytesPerSecond: number) {
    this.clock = clock;
    this.meter = meter;
    this.limitBytesPerSecond = limitBytesPerSecond;
    this.userBytesPerSecond = limitBytesPerSecond;
    this.limiter = new RateLimiter(clock, limitBytesPerSecond);
  }

  /** 0: unlimited. */
  setUserLimit(bytesPerSecond: number): void {
    this.userBytesPerSecond = bytesPerSecond;
    this.applyLimit();
  }

  /** 0: none. */
  setPolicyLimit(bytesPerSecond: number): void {
    this.policyBytesPerSecond = bytesPerSecond;
    this.applyLimit();
  }

  /** From now on pages are pushed while vCPUs wait for others. */
  beginPush(): void {
    this.isPushing = true;
  }

  /** What may be under way. */
  get windowBytes(): number {
    return this.isPushing ? this.meter.pushWindowBytes : this.meter.windowBytes;
  }

  /** How long the limit holds the next frame back; 0 or less: not at all. */
  waitMs(): number {
    return this.limiter.waitMs();
  }

  /** So much goes now. */
  take(bytes: number): void {
    this.limiter.take(bytes);
  }

  /** Pages of the next frame, at most. `limited`: the limit counts. */
  framePages(limited: boolean): number {
    const bytesPerMs = this.limitBytesPerMs(limited) ?? this.meter.bytesPerMs;
    const max = this.isPushing ? PUSH_PAGES_MAX : BATCH_PAGES_MAX;
    const min = this.isPushing ? PUSH_PAGES_MIN : BATCH_PAGES_MIN;
    if (bytesPerMs === undefined) return this.isPushing ? PUSH_PAGES_UNMEASURED : max;
    const frameMs = this.isPushing ? PUSH_FRAME_MS : FRAME_MS;
    const pages = Math.floor((bytesPerMs * frameMs) / PAGE_BYTES);
    return Math.min(max, Math.max(min, pages));
  }

  /** What a codec goes by. */
  linkState(limited: boolean, sentBytes: number): LinkState {
    const { bytesPerMs, acknowledgedBytes, roundTripMs } = this.meter;
    return {
      nowMs: this.clock.nowMs(),
      measuredBytesPerMs: bytesPerMs,
      limitBytesPerMs: this.limitBytesPerMs(limited),
      sentBytes,
      acknowledgedBytes,
      roundTripMs,
    };
  }

  private limitBytesPerMs(limited: boolean): number | undefined {
    return limited && this.limitBytesPerSecond > 0 ? this.limitBytesPerSecond / 1000 : undefined;
  }

  private applyLimit(): void {
    const limits = [this.userBytesPerSecond, this.policyBytesPerSecond].filter(
      (limit) => limit > 0,
    );
    this.limitBytesPerSecond = limits.length === 0 ? 0 : Math.min(...limits);
    this.limiter.setRate(this.limitBytesPerSecond);
  }
}
