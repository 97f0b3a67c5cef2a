import type { MigrationView } from './migration-view.ts';

/** What the progress views show; derived from replies alone. */
export interface Estimate {
  readonly pass: number;
  /** 0..1 of the data of this pass. */
  readonly passDone: number;
  /**
   * Until nothing would remain at the present rates; undefined when it does not converge or nothing
   * is known.
   */
  readonly etaMs: number | undefined;
  readonly throughputBytesPerSecond: number;
}

/**
 * Follows one migration from reply to reply: a pass is as large as what remained when it was first
 * seen.
 */
export class Estimator {
  private pass = -1;
  private passBytes = 0;

  update(view: MigrationView): Estimate {
    const { ram } = view;
    if (ram.dirtySyncCount !== this.pass) {
      this.pass = ram.dirtySyncCount;
      // Nothing is sent yet when the first pass is seen late: it is as large as the RAM.
      this.passBytes = ram.dirtySyncCount <= 1 ? ram.totalBytes : ram.remainingBytes;
    }
    this.passBytes = Math.max(this.passBytes, ram.remainingBytes);
    const ended = view.status === 'completed';
    const left = this.passBytes === 0 ? 0 : ram.remainingBytes / this.passBytes;
    return {
      pass: Math.max(1, ram.dirtySyncCount),
      passDone: ended ? 1 : view.status === 'setup' ? 0 : 1 - left,
      etaMs: etaMs(view),
      throughputBytesPerSecond: ram.bitsPerSecond / 8,
    };
  }
}

function etaMs(view: MigrationView): number | undefined {
  const { remainingBytes, pageBytes, pagesPerSecond, dirtyPagesPerSecond } = view.ram;
  const drainedPagesPerSecond = pagesPerSecond - dirtyPagesPerSecond;
  if (drainedPagesPerSecond <= 0) return undefined;
  return (remainingBytes / pageBytes / drainedPagesPerSecond) * 1000;
}
