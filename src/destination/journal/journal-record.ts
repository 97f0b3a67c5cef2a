import { errorReport, type JournalInfo, type SternaError } from '../../base/index.ts';

const RECENT_PAUSES_MAX = 256;

/** What the destination knows of its journal. */
export class JournalRecord {
  pages = 0;
  bytes = 0;
  lagPages = 0;
  isOverfull = false;
  /** Why there will be no more points. */
  error: SternaError | undefined;
  private points = 0;
  private lastPointAtMs: number | undefined;
  private pauseMs = 0;
  private longestPauseMs = 0;
  private readonly recentPausesMs: number[] = [];

  paused(durationMs: number): void {
    this.pauseMs += durationMs;
    this.longestPauseMs = Math.max(this.longestPauseMs, durationMs);
    this.recentPausesMs.push(durationMs);
    if (this.recentPausesMs.length > RECENT_PAUSES_MAX) this.recentPausesMs.shift();
  }

  /** The source has the point for which the guest stood still at `atMs`. */
  acknowledged(atMs: number): void {
    this.points += 1;
    this.lastPointAtMs = atMs;
  }

  info(nowMs: number): JournalInfo {
    const { points, pages, bytes, pauseMs, longestPauseMs, lagPages, isOverfull } = this;
    const lastPointMs = this.lastPointAtMs === undefined ? undefined : nowMs - this.lastPointAtMs;
    const recentPausesMs = [...this.recentPausesMs];
    const pauses = { pauseMs, longestPauseMs, recentPausesMs };
    const error = this.error === undefined ? undefined : errorReport(this.error);
    return { points, pages, bytes, ...pauses, lastPointMs, lagPages, isOverfull, error };
  }
}
