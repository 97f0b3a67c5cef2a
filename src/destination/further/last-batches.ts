import { type Clock, type Deferred, deferred, type SternaError } from '../../base/index.ts';

/**
 * SWITCHOVER says how many frames of pages were sent. On the connection that it comes on they have
 * all come before it; those on further ones (`multifd`) may come later.
 */
export class LastBatches {
  private readonly clock: Clock;
  private readonly limitMs: number;
  private count = 0;
  private awaited: Deferred<void> | undefined;
  private failure: SternaError | undefined;

  constructor(clock: Clock, limitMs: number) {
    this.clock = clock;
    this.limitMs = limitMs;
  }

  /** So many have been applied. */
  came(count: number): void {
    this.count = count;
    this.awaited?.resolve();
  }

  /**
   * Resolves when `count` have been applied, or when none came within the stall timeout: then some
   * are missing, and whoever looks will see it. Rejects with the reason of `giveUp`.
   */
  async until(count: number): Promise<void> {
    for (let before = -1; this.count < count && this.count > before; ) {
      before = this.count;
      await this.next();
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private async next(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    const came: Deferred<void> = deferred();
    this.awaited = came;
    const late = new AbortController();
    try {
      await Promise.race([came.promise, this.clock.sleep(this.limitMs, late.signal)]);
    } finally {
      late.abort();
      this.awaited = undefined;
    }
  }

  /** Nothing is waited for any more. */
  giveUp(error: SternaError): void {
    this.failure = error;
    this.awaited?.reject(error);
  }
}
