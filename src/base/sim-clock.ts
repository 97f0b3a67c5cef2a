import type { Clock } from './clock.ts';
import { assert } from './errors.ts';

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
  /** False for `every`: a repeating timer alone does not keep a run going. */
  readonly keepsRunning: boolean;
}

export interface SimClockOptions {
  readonly startMs?: number;
  /**
   * Time that one `yieldToLoop` takes: above zero, so that a loop that only yields cannot stop
   * time.
   */
  readonly yieldMs?: number;
}

/**
 * A clock that moves only when it is told to, from one timer to the next. Between two wake-ups one
 * turn of the real loop passes, which drains all promises; so a run depends on nothing but the
 * program and its seed.
 */
export class SimClock implements Clock {
  private currentMs: number;
  private readonly yieldMs: number;
  /** By time; those of one instant in the order in which they were set. */
  private readonly timers: Timer[] = [];

  constructor(options: SimClockOptions = {}) {
    this.currentMs = options.startMs ?? 0;
    this.yieldMs = options.yieldMs ?? 0.001;
  }

  nowMs(): number {
    return this.currentMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer = this.insert(ms, true, () => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      });
      const aborted = () => {
        this.remove(timer);
        resolve();
      };
      signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  yieldToLoop(): Promise<void> {
    return this.sleep(this.yieldMs);
  }

  every(ms: number, callback: () => void): () => void {
    assert(ms > 0, 'A repeating timer needs a period');
    const repeat = (): Timer =>
      this.insert(ms, false, () => {
        timer = repeat();
        callback();
      });
    let timer = repeat();
    return () => this.remove(timer);
  }

  /** Lets `ms` pass: every timer that falls due is served in its order. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.currentMs + ms;
    await macrotaskTurn();
    for (let timer = this.timers[0]; timer !== undefined && timer.dueMs <= untilMs; ) {
      await this.serve(timer);
      timer = this.timers[0];
    }
    this.currentMs = untilMs;
  }

  /**
   * Lets time pass until `work` settles, and returns its result. Fails when nothing is left that
   * could wake it (a deadlock, found at once instead of by a timeout), or when it is not done after
   * `limitMs` of simulated time.
   */
  async runUntil<T>(work: Promise<T>, limitMs = Number.POSITIVE_INFINITY): Promise<T> {
    const untilMs = this.currentMs + limitMs;
    let settled = false;
    const settle = () => {
      settled = true;
    };
    work.then(settle, settle);
    await macrotaskTurn();
    while (!settled) {
      const timer = this.timers[0];
      const waking = this.timers.some((other) => other.keepsRunning);
      assert(timer !== undefined && waking, `Nothing can wake the run at ${this.currentMs} ms`);
      assert(timer.dueMs <= untilMs, `The run did not end within ${limitMs} ms`);
      await this.serve(timer);
    }
    return work;
  }

  private async serve(timer: Timer): Promise<void> {
    this.remove(timer);
    this.currentMs = Math.max(this.currentMs, timer.dueMs);
    timer.fire();
    await macrotaskTurn();
  }

  private insert(ms: number, keepsRunning: boolean, fire: () => void): Timer {
    const dueMs = this.currentMs + Math.max(0, ms);
    const timer: Timer = { dueMs, fire, keepsRunning };
    const at = this.timers.findIndex((other) => other.dueMs > dueMs);
    this.timers.splice(at < 0 ? this.timers.length : at, 0, timer);
    return timer;
  }

  private remove(timer: Timer): void {
    const at = this.timers.indexOf(timer);
    if (at >= 0) this.timers.splice(at, 1);
  }
}

/**
 * setImmediate runs after all microtasks, and no I/O takes part in a simulation: the turn adds no
 * chance.
 */
function macrotaskTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
