import { SternaError } from '../../base/index.ts';
import { type QmpClient, QmpError } from '../../control/client/index.ts';
import type { CliContext } from '../context.ts';
import { createProgress } from '../progress/progress-view.ts';
import { type FollowedMigration, followMigration } from './follow-migration.ts';
import { type MigrationRequest, startMigration } from './migration-request.ts';

export interface RunOptions {
  readonly json: boolean;
  readonly verbose: boolean;
}

/**
 * One migration from the command to its end, with progress. The first interrupt cancels it and
 * waits for what comes of that; the second one gives up waiting.
 */
export async function runMigration(
  context: CliContext,
  qmp: QmpClient,
  request: MigrationRequest,
  options: RunOptions,
): Promise<FollowedMigration> {
  await startMigration(qmp, request);
  const interrupts = cancelOnInterrupt(context, qmp);
  const progress = createProgress(context, options);
  const following = followMigration(qmp, context.clock, (update) => progress.update(update));
  try {
    return await Promise.race([following.catch(agentLost), interrupts.abandoned]);
  } finally {
    progress.close();
    interrupts.stop();
  }
}

interface Interrupts {
  /** Rejects when the user does not want to wait any longer. */
  readonly abandoned: Promise<never>;
  stop(): void;
}

function cancelOnInterrupt(context: CliContext, qmp: QmpClient): Interrupts {
  let interrupts = 0;
  let stop: () => void = () => {};
  const abandoned = new Promise<never>((_resolve, reject) => {
    stop = context.onInterrupt(() => {
      interrupts += 1;
      if (interrupts > 1) {
        const message = 'Interrupted while the migration was being cancelled';
        reject(new SternaError('E_CANCELLED', message, { guestOwner: 'unknown' }));
        return;
      }
      // Refused when it is too late; then the migration ends in its own way, which is what is
      // reported.
      qmp.execute('migrate_cancel').catch(() => {});
    });
  });
  return { abandoned, stop: () => stop() };
}

/** The agent went away: what it did last is not known, so neither is the owner. */
function agentLost(cause: unknown): never {
  if (cause instanceof QmpError) throw cause;
  throw new SternaError('E_OWNERSHIP_UNKNOWN', 'The connection to the source agent was lost', {
    cause,
    side: 'source',
    guestOwner: 'unknown',
  });
}
