import { errorReport, type SternaError } from '../errors.ts';
import type { PostcopyInfo } from './migration-info.ts';

/** The times without a link in one migration's post-copy. Both sides keep it, each for its own. */
export class LinkOutages {
  private recoveries = 0;
  private pastMs = 0;
  private now: { readonly sinceMs: number; error: SternaError } | undefined;

  /** Why there is no link now. */
  get error(): SternaError | undefined {
    return this.now?.error;
  }

  /** Times that a lost link was made anew. */
  get count(): number {
    return this.recoveries;
  }

  /** Also while there is none, when another reason is known. */
  lost(nowMs: number, error: SternaError): void {
    this.now = { sinceMs: this.now?.sinceMs ?? nowMs, error };
  }

  /** There is a link again. */
  recovered(nowMs: number): void {
    this.pastMs += nowMs - (this.now?.sinceMs ?? nowMs);
    this.now = undefined;
    this.recoveries += 1;
  }

  info(nowMs: number): Pick<PostcopyInfo, 'recoveries' | 'pausedMs' | 'pausedError'> {
    const { now } = this;
    return {
      recoveries: this.recoveries,
      pausedMs: this.pastMs + nowMs - (now?.sinceMs ?? nowMs),
      pausedError: now === undefined ? undefined : errorReport(now.error),
    };
  }
}
