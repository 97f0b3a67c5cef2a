import type { Clock } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import { hasEnded, type MigrationView, readMigration } from './migration-view.ts';
import { Patience } from './patience.ts';

const POLL_MS = 100;
/**
 * After RAM was found identical, how long the guest-observed downtime may still take to be known.
 */
const DOWNTIME_WAIT_MS = 1_000;

export interface FollowedMigration {
  readonly view: MigrationView;
  /** The last reply as it came, for `--json`. */
  readonly reply: unknown;
}

/**
 * Asks `query-migrate` until the migration has ended, the comparison of the RAM included, or is in
 * post-copy without a link and nothing is to be expected. Events
 * only wake it early: what counts is always the reply, so a lost event costs a tenth of a second
 * and no more.
 */
export async function followMigration(
  qmp: QmpClient,
  clock: Clock,
  onUpdate: (update: FollowedMigration) => void,
): Promise<FollowedMigration> {
  let wake = new AbortController();
  const stopListening = qmp.onEvent(() => wake.abort());
  const patience = new Patience(clock);
  let endedAtMs: number | undefined;
  try {
    for (;;) {
      const reply = await qmp.execute('query-migrate');
      const update = { view: readMigration(reply), reply };
      onUpdate(update);
      if (patience.isOver(update.view)) return update;
      if (hasEnded(update.view)) {
        endedAtMs ??= clock.nowMs();
        const known = update.view.guestDowntimeUs !== undefined || !mayTellDowntime(update.view);
        if (known || clock.nowMs() - endedAtMs > DOWNTIME_WAIT_MS) return update;
      }
      await clock.sleep(POLL_MS, wake.signal);
      wake = new AbortController();
    }
  } finally {
    stopListening();
  }
}

function mayTellDowntime(view: MigrationView): boolean {
  return view.status === 'completed' && view.owner === 'destination' && view.side === 'source';
}
