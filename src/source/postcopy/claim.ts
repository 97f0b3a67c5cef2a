import { toSternaError } from '../../base/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { recoverLink } from './recovery.ts';

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;

/**
 * The guest was taken back here by an operator's word, who may have been wrong: tells the
 * destination the epoch in which it runs here, should it turn up again, so that it stops its own.
 * Tries until it has answered, or `signal` is raised; resolves with whether it has.
 */
export async function claimGuest(
  context: OutgoingContext,
  connect: Connect,
  claimedEpoch: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { clock, log } = context;
  for (let retryMs = RETRY_MS_MIN; !signal.aborted; retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
    try {
      const { context: next, answer } = await recoverLink(context, connect, signal, {
        claimedEpoch,
      });
      next.peer.finish();
      void next.channel.end();
      log.info({ event: 'ownership.claimed', claimedEpoch, answer: answer.outcome });
      return true;
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Destination could not be told');
      log.debug({ event: 'ownership.claim-not-told', code: error.code, error: error.message });
    }
    await clock.sleep(retryMs, signal);
  }
  return false;
}
