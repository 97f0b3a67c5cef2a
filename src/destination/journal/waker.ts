import type { Clock } from '../../base/index.ts';

/** Only a net under the calls of `wake`: nothing is slower for it. */
const RECHECK_MS = 1_000;

/** Something to wait on in one loop, which looks again at what it waits for after each wait. */
export class Waker {
  private readonly clock: Clock;
  private waking = new AbortController();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  wake(): void {
    const { waking } = this;
    this.waking = new AbortController();
    waking.abort();
  }

  /** Resolves after `limitMs`, or earlier when it is woken. */
  async wait(limitMs = RECHECK_MS): Promise<void> {
    await this.clock.sleep(Math.min(limitMs, RECHECK_MS), this.waking.signal);
  }
}
