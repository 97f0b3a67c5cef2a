import { deadline, SternaError, toSternaError } from '../../base/index.ts';
import type { RecoveryBody } from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { recoverLink } from '../postcopy/recovery.ts';
import type { HandOver } from './hand-over.ts';
import { proofIncomplete } from './proof.ts';

const RETRY_MS = 200;
/** Behind the end of the migration, where nobody waits for the answer but the guest. */
const LATE_RETRY_MS_MIN = 500;
const LATE_RETRY_MS_MAX = 30_000;

/**
 * GRANT of a guest that is whole may have arrived, and the link is lost: connects again and asks.
 * Resolves when the guest is known to be the destination's. Throws `cause` when it goes on here, or
 * when nobody could be asked within the limit; the hand-over tells the two apart.
 */
export async function askForGuest(
  context: OutgoingContext,
  handOver: HandOver,
  connect: Connect,
  cause: SternaError,
): Promise<RecoveryBody> {
  const { clock, parameters, log } = context;
  const deadlineMs = clock.nowMs() + parameters.stallTimeoutMs;
  while (clock.nowMs() < deadlineMs) {
    const answer = await attempt(context, connect, deadlineMs - clock.nowMs());
    if (answer instanceof SternaError) {
      log.info({ event: 'ownership.not-answered', code: answer.code, error: answer.message });
      if (answer.code === 'E_RECOVERY_REFUSED') break;
      await clock.sleep(RETRY_MS);
      continue;
    }
    const owner = await handOver.answered(answer.outcome);
    if (owner === 'destination') return answer;
    throw answer.outcome === 'lost' ? lostGuest(context, cause) : cause;
  }
  throw cause;
}

/**
 * Goes on asking behind the end of a migration that nobody answered, until the destination has, or
 * `signal` is raised: an operator decides. The record is then what the answer says: the migration
 * is completed, or the guest goes on here. Never rejects.
 */
export async function learnOwner(
  context: OutgoingContext,
  handOver: HandOver,
  connect: Connect,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, publish } = context;
  let retryMs = LATE_RETRY_MS_MIN;
  while (!signal.aborted) {
    await clock.sleep(retryMs, signal);
    if (signal.aborted) return;
    retryMs = Math.min(2 * retryMs, LATE_RETRY_MS_MAX);
    try {
      const answer = await askOnce(context, connect, signal);
      if (await settle(context, handOver, answer)) return publish();
    } catch (thrown) {
      const { code, message } = toSternaError(thrown, 'E_CHANNEL_RESET', 'No answer');
      log.debug({ event: 'ownership.not-answered', code, error: message });
    }
  }
}

/** The guest was there, and ended with the process that ran it. */
export function lostGuest(context: OutgoingContext, cause: SternaError): SternaError {
  const text = 'The destination had the guest, and the process that ran it is gone';
  return new SternaError('E_GUEST_LOST', text, {
    cause,
    guestOwner: 'unknown',
    detail: { peer: context.peerName, epoch: context.record.startEpoch + 1 },
  });
}

/** False when nothing follows. Rejects when the guest is this side's, and the disk refuses it. */
async function settle(
  context: OutgoingContext,
  handOver: HandOver,
  { outcome, running }: RecoveryBody,
): Promise<boolean> {
  const { record, log, peerName } = context;
  const { error } = record;
  const cause = toSternaError(error?.cause, 'E_CHANNEL_RESET', 'Link was lost');
  if (outcome === 'abandoned') {
    // Also when an attempt before this one could not record it.
    await handOver.takeBack();
    cause.guestOwner = 'source';
    cause.phase ??= error?.phase;
    cause.side ??= 'source';
    record.error = cause;
  } else {
    const owner = await handOver.answered(outcome);
    if (outcome === 'lost') record.error = lostGuest(context, cause);
    else if (owner !== 'destination') return false;
    else {
      record.status = 'completed';
      record.error = undefined;
      record.guestRuns = running;
      proofIncomplete(context, cause);
    }
  }
  log.warn({ event: 'ownership.learnt', peer: peerName, answer: outcome, owner: record.owner });
  return true;
}

async function attempt(
  context: OutgoingContext,
  connect: Connect,
  limitMs: number,
): Promise<RecoveryBody | SternaError> {
  const giveUp = new AbortController();
  const stop = deadline(context.clock, limitMs, () => giveUp.abort());
  try {
    return await askOnce(context, connect, giveUp.signal);
  } catch (thrown) {
    return toSternaError(thrown, 'E_CHANNEL_RESET', 'Destination could not be asked');
  } finally {
    stop();
  }
}

/** A guest that came whole needs nothing more of this side than the question. */
async function askOnce(
  context: OutgoingContext,
  connect: Connect,
  signal: AbortSignal,
): Promise<RecoveryBody> {
  const { context: asked, answer } = await recoverLink(context, connect, signal);
  asked.peer.finish();
  void asked.channel.end();
  return answer;
}
