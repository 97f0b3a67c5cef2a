import type { Clock } from '../../base/index.ts';
import type { MigrationView } from './migration-view.ts';

/** A resume that was just asked for may not be seen in the next reply. */
const HELD_LIMIT_MS = 1_000;
/** The source goes on trying; who looks at a script wants to know. */
const LOST_LIMIT_MS = 60_000;

/** How long a command waits for a link of post-copy that is lost. */
export class Patience {
  private readonly clock: Clock;
  private lostSinceMs: number | undefined;
  private heldSinceMs: number | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** True when nothing is to be expected, or not soon. */
  isOver({ status, postcopy }: MigrationView): boolean {
    const nowMs = this.clock.nowMs();
    const isLost = status.startsWith('postcopy-') && status !== 'postcopy-active';
    const isHeld = isLost && postcopy?.waitsForResume === true;
    this.lostSinceMs = isLost ? (this.lostSinceMs ?? nowMs) : undefined;
    this.heldSinceMs = isHeld ? (this.heldSinceMs ?? nowMs) : undefined;
    const held = this.heldSinceMs !== undefined && nowMs - this.heldSinceMs >= HELD_LIMIT_MS;
    return held || (this.lostSinceMs !== undefined && nowMs - this.lostSinceMs >= LOST_LIMIT_MS);
  }
}
