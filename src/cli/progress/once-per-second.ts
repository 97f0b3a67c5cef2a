import type { Clock } from '../../base/index.ts';

const LINE_PERIOD_MS = 1_000;

/** True at most once per second, and whenever `key` (the status and pass) is new. */
export class OncePerSecond {
  private readonly clock: Clock;
  private lastMs = Number.NEGATIVE_INFINITY;
  private lastKey = '';

  constructor(clock: Clock) {
    this.clock = clock;
  }

  isDue(key: string): boolean {
    const nowMs = this.clock.nowMs();
    if (key === this.lastKey && nowMs - this.lastMs < LINE_PERIOD_MS) return false;
    this.lastKey = key;
    this.lastMs = nowMs;
    return true;
  }
}
