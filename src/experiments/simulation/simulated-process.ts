import {
  type Clock,
  type Deferred,
  deferred,
  type OwnershipLedger,
  type OwnershipRecord,
} from '../../base/index.ts';

/**
 * A process of a host. It can be killed at any moment: what it waits for never comes from then on,
 * and nothing that it still does in that turn is seen outside. Only the disk of its host stays.
 */
export class SimulatedProcess {
  /** The clock that everything in this process waits with. */
  readonly clock: Clock;
  private readonly inner: Clock;
  private readonly end: Deferred<undefined> = deferred();
  private readonly atEnd: (() => void)[] = [];
  private killed = false;

  constructor(clock: Clock) {
    this.inner = clock;
    this.clock = {
      nowMs: () => clock.nowMs(),
      sleep: (ms, signal) => this.whileAlive(clock.sleep(ms, signal)),
      yieldToLoop: () => this.whileAlive(clock.yieldToLoop()),
      every: (ms, callback) => this.every(ms, callback),
    };
  }

  get isAlive(): boolean {
    return !this.killed;
  }

  kill(): void {
    if (this.killed) return;
    this.killed = true;
    for (const callback of this.atEnd.splice(0)) callback();
    this.end.resolve(undefined);
  }

  /** Called once, when it is killed. */
  onKill(callback: () => void): void {
    this.atEnd.push(callback);
  }

  /** What `work` comes to; undefined when the process is killed before. */
  outcomeOf<T>(work: Promise<T>): Promise<T | undefined> {
    return Promise.race([work, this.end.promise]);
  }

  /** As the promise, but it never settles when the process is killed before. */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => {
          if (this.isAlive) resolve(value);
        },
        (error) => {
          if (this.isAlive) reject(error);
        },
      );
    });
  }

  /** The disk as this process sees it. What was being written when it is killed may be there. */
  ledger(disk: OwnershipLedger): OwnershipLedger {
    return {
      read: (uuid) => disk.read(uuid),
      write: (record: OwnershipRecord) =>
        this.isAlive ? this.whileAlive(disk.write(record)) : new Promise(() => {}),
    };
  }

  private every(ms: number, callback: () => void): () => void {
    const stop = this.inner.every(ms, callback);
    this.onKill(stop);
    return stop;
  }
}
