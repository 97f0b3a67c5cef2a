import type { SternaError } from '../base/index.ts';
import { encodeCancel, encodeError, errorBodyFrom } from '../protocol/index.ts';
import type { OutgoingContext } from './outgoing-context.ts';

const FAREWELL_MS = 1_000;

/**
 * The peer learns the reason if it can still be told: it is delivered before the connection is
 * closed.
 */
export async function tellPeer(context: OutgoingContext, cause: SternaError): Promise<void> {
  const { peer, clock, channel } = context;
  const told =
    cause.code === 'E_CANCELLED'
      ? peer.send('CANCEL', encodeCancel({ reason: cause.message }))
      : peer.send('ERROR', encodeError(errorBodyFrom(cause)));
  peer.finish();
  const delivered = told.then(() => channel.end());
  await Promise.race([delivered.catch(() => {}), clock.sleep(FAREWELL_MS)]);
}
