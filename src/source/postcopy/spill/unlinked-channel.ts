import { SternaError } from '../../../base/index.ts';
import type { Channel } from '../../../channel/index.ts';

/** A connection that is lost already: what a migration has before its first one in this process. */
export function unlinkedChannel(name: string): Channel {
  const refuse = () => Promise.reject(new SternaError('E_CHANNEL_RESET', 'There is no connection'));
  return {
    name,
    duplex: true,
    sentBytes: 0,
    receivedBytes: 0,
    lastReceivedMs: 0,
    start() {
      // Nothing will ever come.
    },
    send: refuse,
    sendSlot: refuse,
    end: () => Promise.resolve(),
    destroy() {
      // It is over.
    },
  };
}
