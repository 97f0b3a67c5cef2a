import { deadline, SternaError, toSternaError } from '../../base/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { type Recovered, recoverLink } from '../postcopy/recovery.ts';
import type { HandOver } from './hand-over.ts';

const RETRY_MS = 200;

/**
 * GRANT may have arrived, and the link is lost: connects again and asks. Resolves when the guest is
 * known to be the destination's; the connection is of use when the answer says that it continues.
 * Throws `cause` when the guest goes on here, or when nobody could be asked within the limit; the
 * hand-over tells the two apart.
 */
export async function askForGuest(
  context: OutgoingContext,
  handOver: HandOver,
  connect: Connect,
  cause: SternaError,
): Promise<Recovered> {
  const { clock, parameters, log } = context;
  const deadlineMs = clock.nowMs() + parameters.stallTimeoutMs;
  while (clock.nowMs() < deadlineMs) {
    const found = await attempt(context, connect, deadlineMs - clock.nowMs());
    if (found instanceof SternaError) {
      log.info({ event: 'ownership.not-answered', code: found.code, error: found.message });
      if (found.code === 'E_RECOVERY_REFUSED') break;
      await clock.sleep(RETRY_MS);
      continue;
    }
    const owner = await handOver.answered(found.answer.outcome);
    if (owner === 'destination') return found;
    found.context.peer.finish();
    void found.context.channel.end();
    throw found.answer.outcome === 'lost' ? lostGuest(context, cause) : cause;
  }
  throw cause;
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

async function attempt(
  context: OutgoingContext,
  connect: Connect,
  limitMs: number,
): Promise<Recovered | SternaError> {
  const giveUp = new AbortController();
  const stop = deadline(context.clock, limitMs, () => giveUp.abort());
  try {
    return await recoverLink(context, connect, giveUp.signal);
  } catch (thrown) {
    return toSternaError(thrown, 'E_CHANNEL_RESET', 'Destination could not be asked');
  } finally {
    stop();
  }
}
