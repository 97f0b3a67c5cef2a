import type { Clock, SternaError } from '../base/index.ts';
import type { Channel } from '../channel/index.ts';
import { encodeError, errorBodyFrom, MESSAGE_TYPES } from '../protocol/index.ts';

const FAREWELL_MS = 1_000;

/**
 * Tells the peer why this side leaves, unless that is the peer's own word, and ends the connection;
 * a peer that does not read is not waited for. Never rejects.
 */
export async function sayFarewell(
  channel: Channel,
  clock: Clock,
  error: SternaError,
): Promise<void> {
  if (error.detail.remote !== true && channel.duplex) {
    const told = channel.send(MESSAGE_TYPES.ERROR, encodeError(errorBodyFrom(error)));
    const delivered = told.then(() => channel.end()).catch(() => {});
    await Promise.race([delivered, clock.sleep(FAREWELL_MS)]);
  }
  channel.destroy(error);
}
