import { isInPostcopy, type MigrationView } from './migration-view.ts';
import type { PostcopyView } from './postcopy-view.ts';

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
  /** Where post-copy was when it was first seen: rates of pre-copy say nothing of it. */
  private switched: { readonly totalTimeMs: number; readonly bytes: number } | undefined;

  update(view: MigrationView): Estimate {
    const { ram, postcopy } = view;
    if (isInPostcopy(view) && postcopy !== undefined) return this.updatePostcopy(view, postcopy);
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

  private updatePostcopy(view: MigrationView, postcopy: PostcopyView): Estimate {
    const { ram, totalTimeMs } = view;
    const { missingPages, remainingPages } = postcopy;
    this.switched ??= { totalTimeMs, bytes: ram.transferredBytes };
    const seconds = (totalTimeMs - this.switched.totalTimeMs) / 1000;
    const bytesPerSecond = seconds > 0 ? (ram.transferredBytes - this.switched.bytes) / seconds : 0;
    const flows = view.status === 'postcopy-active' && bytesPerSecond > 0;
    return {
      pass: Math.max(1, ram.dirtySyncCount),
      passDone: missingPages === 0 ? 1 : 1 - remainingPages / missingPages,
      etaMs: flows ? ((remainingPages * ram.pageBytes) / bytesPerSecond) * 1000 : undefined,
      throughputBytesPerSecond: bytesPerSecond,
    };
  }
}

function etaMs(view: MigrationView): number | undefined {
  const { remainingBytes, pageBytes, pagesPerSecond, dirtyPagesPerSecond } = view.ram;
  const drainedPagesPerSecond = pagesPerSecond - dirtyPagesPerSecond;
  if (drainedPagesPerSecond <= 0) return undefined;
  return (remainingBytes / pageBytes / drainedPagesPerSecond) * 1000;
}
