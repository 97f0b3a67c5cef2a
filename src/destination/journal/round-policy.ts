/** Copying so many takes about a millisecond of pause. */
const PAUSE_PAGES = 1024;
const ROUNDS_MAX = 3;
/** After rounds that were in vain, so many points go without. */
const POINTS_WITHOUT = 8;

/**
 * Whether dirty pages are sent in a round while the guest runs, as in pre-copy, or the guest is
 * paused now and all are copied at once. A round is worth its bytes when it leaves half as much.
 */
export class RoundPolicy {
  private readonly before: number[] = [];
  private pointsWithout = 0;

  beginPoint(): void {
    this.before.length = 0;
    if (this.pointsWithout > 0) this.pointsWithout -= 1;
  }

  /** Asked with what is dirty now, until it says `pause`. */
  next(dirtyPages: number): 'round' | 'pause' {
    const last = this.before.at(-1);
    const wasInVain = last !== undefined && dirtyPages > last / 2;
    if (wasInVain && this.before.length === 1) this.pointsWithout = POINTS_WITHOUT;
    if (dirtyPages <= PAUSE_PAGES || wasInVain) return 'pause';
    if (this.before.length >= ROUNDS_MAX || this.pointsWithout > 0) return 'pause';
    this.before.push(dirtyPages);
    return 'round';
  }
}
