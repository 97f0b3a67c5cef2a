import { type SternaError, toSternaError } from '../../base/index.ts';
import { tellPeer } from '../farewell.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { HandOver } from './hand-over.ts';

/**
 * Sees to the guest of a migration that has failed, and resolves with the error that says whose it
 * is. `link`: the connection that there is now, or was last. Never rejects.
 */
export async function settleFailure(
  link: OutgoingContext,
  handOver: HandOver,
  cause: SternaError,
): Promise<SternaError> {
  if (cause.code === 'E_GUEST_LOST') {
    link.record.owner = 'unknown';
    return cause;
  }
  if (handOver.isInDoubtAfter(cause)) return handOver.unknown(cause);
  // First the guest, which may be standing still, then the peer.
  const error = await goOnHere(link, handOver, cause);
  await tellPeer(link, cause);
  return error;
}

/**
 * By an operator's word the guest goes on here: its new epoch, or why it does not. Never rejects.
 */
export async function takeOwnership(
  { journal }: OutgoingContext,
  handOver: HandOver,
): Promise<number | SternaError> {
  // Half a point is no guest.
  await journal?.settled;
  journal?.end();
  try {
    return await handOver.takeOwnership();
  } catch (thrown) {
    return toSternaError(thrown, 'E_STATE_DIRECTORY', 'Ownership could not be recorded');
  }
}

async function goOnHere(
  { record }: OutgoingContext,
  handOver: HandOver,
  cause: SternaError,
): Promise<SternaError> {
  let error = cause;
  try {
    await handOver.takeBack();
  } catch (thrown) {
    // The ledger still says that the guest is being given away: running it would contradict the
    // record. Nobody else has it.
    error = toSternaError(thrown, 'E_STATE_DIRECTORY', 'Ownership could not be recorded');
    record.owner = 'source';
  }
  error.guestOwner = 'source';
  return error;
}
