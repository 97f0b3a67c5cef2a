/**
 * As `source/codec/codec-trial.ts` has them. Two spans with LZ4 (the first one settles) before the
 * first look, and two without it for the look itself; what was seen holds so long.
 */
const SPAN_MS = 40;
const LOOK_MS = 2 * SPAN_MS;
const KEEP_MS = 5000;

/**
 * When the codec leaves LZ4 off for a moment, to see what the link brings without it. That LZ4 then
 * turns out to be worse is not foreseen.
 */
export class TrialModel {
  private spentMs = 0;

  /** So much more was sent with LZ4 or while it was looked at. */
  spend(ms: number): void {
    this.spentMs += ms;
  }

  get isLooking(): boolean {
    return this.spentMs >= LOOK_MS && (this.spentMs - LOOK_MS) % (LOOK_MS + KEEP_MS) < LOOK_MS;
  }
}
