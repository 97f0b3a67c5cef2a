import { type Clock, type Deferred, deferred } from '../../src/base/index.ts';

/**
 * How late the proxy may be and still catch up. A busy link loses no capacity because the process
 * that plays it was not scheduled in time; a receiver that was slow for long gets no burst for it.
 */
const CATCH_UP_MS = 100;

/** Byte offsets count from the beginning of each connection. */
export interface ProxyFaults {
  readonly delayMs?: number;
  /** 0 or absent: unlimited. */
  readonly bandwidthBytesPerSecond?: number;
  readonly cutAfterBytes?: number;
  /**
   * `reset` (by default) loses what is in flight; `end` closes politely in the middle of the
   * stream.
   */
  readonly cutWith?: 'reset' | 'end';
  readonly stallAfterBytes?: number;
  /** Flips a bit of this byte. */
  readonly corruptAtByte?: number;
  /** Length of the next piece that is forwarded in one write. */
  readonly pieceBytes?: () => number;
  /** Keeps a copy of everything forwarded. */
  readonly capture?: boolean;
}

/**
 * One direction of a FaultyProxy: what happens to its bytes, and how many there were, over all
 * connections.
 */
export class ProxyDirection {
  receivedBytes = 0;
  forwardedBytes = 0;
  readonly clock: Clock;
  private current: ProxyFaults;
  /** When the wire is free again. */
  private freeAtMs = 0;
  private stalled: Deferred<void> | undefined;
  private readonly captured: Uint8Array[] = [];

  constructor(clock: Clock, faults: ProxyFaults) {
    this.clock = clock;
    this.current = faults;
  }

  get faults(): ProxyFaults {
    return this.current;
  }

  /** Everything forwarded, if `capture` is on. */
  get capture(): Buffer {
    return Buffer.concat(this.captured);
  }

  /** Takes effect with the next byte. */
  setFaults(faults: ProxyFaults): void {
    this.current = faults;
  }

  stall(): void {
    this.stalled ??= deferred();
  }

  resume(): void {
    this.stalled?.resolve();
    this.stalled = undefined;
  }

  /** Resolves when bytes may go. */
  async passable(): Promise<void> {
    while (this.stalled !== undefined) await this.stalled.promise;
  }

  /**
   * Reserves the wire for bytes that were there at `availableMs`, and says when they have left it.
   * Deliberately not the product's rate limiter, which is measured through this proxy.
   */
  occupy(bytes: number, availableMs: number): number {
    const rate = this.current.bandwidthBytesPerSecond ?? 0;
    if (rate === 0) return availableMs;
    const earliestMs = this.clock.nowMs() - CATCH_UP_MS;
    this.freeAtMs = Math.max(this.freeAtMs, availableMs, earliestMs) + (bytes * 1000) / rate;
    return this.freeAtMs;
  }

  forwarded(bytes: Uint8Array): void {
    this.forwardedBytes += bytes.length;
    if (this.current.capture) this.captured.push(Uint8Array.from(bytes));
  }
}
