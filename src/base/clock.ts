/**
 * Time as an argument: production passes `systemClock()`, the simulator a fake one, and the same
 * engine code replays identically from a seed. Nothing else in the engines reads the time or sets a
 * timer.
 */
export interface Clock {
  /** Milliseconds, monotonic, with fractions. On one host the same in every process. */
  nowMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Lets I/O in: resolves after pending socket events were served. */
  yieldToLoop(): Promise<void>;
  /**
   * Calls back every `ms` until the returned function is called. Does not keep the process alive.
   */
  every(ms: number, callback: () => void): () => void;
}

/** Calls `late` after `ms`, unless the returned function is called before. */
export function deadline(clock: Clock, ms: number, late: () => void): () => void {
  const done = new AbortController();
  void clock.sleep(ms, done.signal).then(() => {
    if (!done.signal.aborted) late();
  });
  return () => done.abort();
}

export function systemClock(): Clock {
  return {
    // hrtime is CLOCK_MONOTONIC, which all processes of a host share; performance.now() starts at
    // the thread's birth.
    nowMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        // setTimeout drops fractions, and would then wake up to a millisecond early.
        const timer = setTimeout(done, Math.ceil(ms));
        signal?.addEventListener('abort', done);
      }),
    yieldToLoop: () => new Promise((resolve) => setImmediate(resolve)),
    every: (ms, callback) => {
      const timer = setInterval(callback, ms);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}

/**
 * Microseconds since 1970: for people, and for guests. Everything that is measured uses `Clock`.
 */
export type WallClock = () => number;

export const systemWallClock: WallClock = () => Date.now() * 1000;
