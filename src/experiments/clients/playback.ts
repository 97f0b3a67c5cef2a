/** What somebody sees who watches a stream; milliseconds. */
export interface PlaybackReport {
  readonly frames: number;
  /** Longest time between two frames that came. */
  readonly longestGapMs: number;
  /** How often there was no frame when one was due. */
  readonly underruns: number;
  /** How long the picture stood still: until the buffer was full again. */
  readonly longestFreezeMs: number;
  readonly frozenMs: number;
}

/**
 * A player with a buffer of fixed length. It begins to play when the buffer is full, shows a frame
 * per period, and when a frame is late it stands still until the buffer is full again. Pure: times
 * are told.
 */
export class Playback {
  private readonly periodMs: number;
  private readonly bufferFrames: number;
  private frames = 0;
  private lastFrameMs: number | undefined;
  private longestGapMs = 0;
  private underruns = 0;
  private longestFreezeMs = 0;
  private frozenMs = 0;
  /** While it fills its buffer: how many frames are in it, and since when the picture stands. */
  private filling: { frames: number; readonly sinceMs: number | undefined } | undefined;
  /** When the next frame that comes is to be shown. */
  private dueMs = Number.NaN;

  constructor(framesPerSecond: number, bufferMs: number) {
    this.periodMs = 1000 / framesPerSecond;
    this.bufferFrames = Math.max(1, Math.round(bufferMs / this.periodMs));
    this.filling = { frames: 0, sinceMs: undefined };
  }

  /** Frames that the buffer holds when it is full. */
  get capacity(): number {
    return this.bufferFrames;
  }

  /** The next frame has come. */
  frame(nowMs: number): void {
    this.frames += 1;
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - (this.lastFrameMs ?? nowMs));
    this.lastFrameMs = nowMs;
    if (this.filling === undefined) {
      if (nowMs <= this.dueMs) {
        this.dueMs += this.periodMs;
        return;
      }
      this.underruns += 1;
      this.filling = { frames: 0, sinceMs: this.dueMs };
    }
    this.filling.frames += 1;
    if (this.filling.frames >= this.bufferFrames) this.play(nowMs, this.filling.sinceMs);
  }

  /** Until now; a picture that stands still counts. */
  report(nowMs: number): PlaybackReport {
    const standsSinceMs = this.filling === undefined ? this.dueMs : this.filling.sinceMs;
    const standsMs = standsSinceMs === undefined ? 0 : Math.max(0, nowMs - standsSinceMs);
    const isLate = this.filling === undefined && standsMs > 0;
    return {
      frames: this.frames,
      longestGapMs: Math.max(this.longestGapMs, nowMs - (this.lastFrameMs ?? nowMs)),
      underruns: this.underruns + (isLate ? 1 : 0),
      longestFreezeMs: Math.max(this.longestFreezeMs, standsMs),
      frozenMs: this.frozenMs + standsMs,
    };
  }

  /** All frames of the buffer are shown from now on, and after them the next one. */
  private play(nowMs: number, stoodSinceMs: number | undefined): void {
    if (stoodSinceMs !== undefined) {
      const freezeMs = nowMs - stoodSinceMs;
      this.longestFreezeMs = Math.max(this.longestFreezeMs, freezeMs);
      this.frozenMs += freezeMs;
    }
    this.filling = undefined;
    this.dueMs = nowMs + this.bufferFrames * this.periodMs;
  }
}
