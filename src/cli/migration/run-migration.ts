import { SternaError } from '../../base/index.ts';
import { type QmpClient, QmpError } from '../../control/client/index.ts';
import type { CliContext } from '../context.ts';
import { createProgress } from '../progress/progress-view.ts';
import { type FollowedMigration, followMigration } from './follow-migration.ts';
import { LeftInPostcopy } from './left-in-postcopy.ts';
import { type MigrationRequest, resumeMigration, startMigration } from './migration-request.ts';
import { isInPostcopy, type MigrationView } from './migration-view.ts';

export interface RunOptions {
  readonly json: boolean;
  readonly verbose: boolean;
}

/**
 * One migration from the command to its end, with progress. The first interrupt cancels it and
 * waits for what comes of that; the second one gives up waiting. In post-copy nothing can be
 * cancelled, and an interrupt ends the following only.
 */
export async function runMigration(
  context: CliContext,
  qmp: QmpClient,
  request: MigrationRequest,
  options: RunOptions,
): Promise<FollowedMigration> {
  await startMigration(qmp, request);
  return follow(context, qmp, options);
}

/** Goes on with a migration in post-copy, to its end. */
export async function runResumed(
  context: CliContext,
  qmp: QmpClient,
  uri: string | undefined,
  options: RunOptions,
): Promise<FollowedMigration> {
  await resumeMigration(qmp, uri);
  return follow(context, qmp, options);
}

async function follow(
  context: CliContext,
  qmp: QmpClient,
  options: RunOptions,
): Promise<FollowedMigration> {
  let last: MigrationView | undefined;
  const isSwitched = () => last !== undefined && isInPostcopy(last);
  const interrupts = cancelOnInterrupt(context, qmp, isSwitched);
  const progress = createProgress(context, options);
  const following = followMigration(qmp, context.clock, (update) => {
    last = update.view;
    progress.update(update);
  });
  let hasEnded = false;
  const stopListening = qmp.onEvent(({ event, data }) => {
    if (event === 'SHUTDOWN' && data.guest === true) hasEnded = true;
  });
  const lost = (cause: unknown) => agentLost(cause, isSwitched(), hasEnded);
  try {
    return await Promise.race([following.catch(lost), interrupts.abandoned]);
  } finally {
    progress.close();
    interrupts.stop();
    stopListening();
  }
}

interface Interrupts {
  /** Rejects when the user does not want to wait any longer. */
  readonly abandoned: Promise<never>;
  stop(): void;
}

function cancelOnInterrupt(
  context: CliContext,
  qmp: QmpClient,
  isSwitched: () => boolean,
): Interrupts {
  let interrupts = 0;
  let stop: () => void = () => {};
  const abandoned = new Promise<never>((_resolve, reject) => {
    stop = context.onInterrupt(() => {
      if (isSwitched()) return reject(LeftInPostcopy.interrupted());
      interrupts += 1;
      if (interrupts > 1) {
        const message = 'Interrupted while the migration was being cancelled';
        reject(new SternaError('E_CANCELLED', message, { guestOwner: 'unknown' }));
        return;
      }
      // Refused when it is too late; then the migration ends in its own way, which is what is
      // reported.
      qmp.execute('migrate_cancel').catch((refusal: unknown) => {
        if (isPostcopyRefusal(refusal)) reject(LeftInPostcopy.interrupted());
      });
    });
  });
  return { abandoned, stop: () => stop() };
}

/** The guest was handed over after the last reply. */
function isPostcopyRefusal(refusal: unknown): boolean {
  if (!(refusal instanceof QmpError)) return false;
  const { phase, guestOwner } = refusal.sternaError ?? {};
  return phase === 'postcopy' && guestOwner === 'destination';
}

/** The agent went away: before post-copy what it did last is not known, so neither is the owner. */
function agentLost(cause: unknown, isSwitched: boolean, hasEnded: boolean): never {
  if (cause instanceof QmpError) throw cause;
  // An agent ends with the guest that it owns, before it can be asked once more.
  if (hasEnded) {
    const message = 'The guest ended itself at the source, and its agent with it';
    throw new SternaError('E_GUEST_ENDED', message, { side: 'source', guestOwner: 'none' });
  }
  if (isSwitched) throw LeftInPostcopy.agentLost();
  throw new SternaError('E_OWNERSHIP_UNKNOWN', 'The connection to the source agent was lost', {
    cause,
    side: 'source',
    guestOwner: 'unknown',
  });
}
