import { type Clock, SternaError } from '../base/index.ts';

/**
 * What can end a migration from outside while the engine waits: a broken channel, the peer's ERROR,
 * a cancel. The first one wins. Waiting for anything is a loop `while (not yet) await
 * interrupt.wait()`, so that no wait can miss it.
 */
export class Interrupt {
  private readonly clock: Clock;
  private failure: SternaError | undefined;
  private wakers: (() => void)[] = [];
  private readonly listeners: ((error: SternaError) => void)[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get error(): SternaError | undefined {
    return this.failure;
  }

  /** Ends every wait with `error`; later errors are ignored. */
  raise(error: SternaError): void {
    const isFirst = this.failure === undefined;
    this.failure ??= error;
    this.wake();
    if (isFirst) for (const listener of this.listeners.splice(0)) listener(error);
  }

  /** For who does not wait here: called once, when something is raised. */
  onRaise(listener: (error: SternaError) => void): void {
    if (this.failure === undefined) this.listeners.push(listener);
    else listener(this.failure);
  }

  /** Something changed: all waiting loops look at their condition again. */
  wake(): void {
    const wakers = this.wakers;
    this.wakers = [];
    for (const waker of wakers) waker();
  }

  throwIfRaised(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Resolves at the next `wake()`. Throws what was raised. */
  async wait(): Promise<void> {
    this.throwIfRaised();
    await new Promise<void>((resolve) => this.wakers.push(resolve));
    this.throwIfRaised();
  }

  /** As `wait()`, but for `ms` at most. */
  async waitFor(ms: number): Promise<void> {
    this.throwIfRaised();
    const abort = new AbortController();
    this.wakers.push(() => abort.abort());
    await this.clock.sleep(ms, abort.signal);
    this.throwIfRaised();
  }

  /**
   * Waits until `condition()`, at most until `limitMs` passed; then throws E_CHANNEL_TIMEOUT with
   * `what`.
   */
  async until(condition: () => boolean, limitMs: number, what: string): Promise<void> {
    const deadlineMs = this.clock.nowMs() + limitMs;
    while (!condition()) {
      const leftMs = deadlineMs - this.clock.nowMs();
      if (leftMs <= 0) {
        throw new SternaError('E_CHANNEL_TIMEOUT', `No ${what} within ${limitMs} ms`, {
          detail: { limitMs },
        });
      }
      await this.waitFor(leftMs);
    }
  }
}
