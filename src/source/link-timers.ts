import type { OutgoingContext } from './outgoing-context.ts';

const PUBLISH_MS = 50;
/** Keeps the other side from taking a quiet link for a dead one; well below any stall timeout. */
const PING_MS = 500;
/** Nothing but the first message may come then. */
const UNASKED_STATES: readonly string[] = ['connected', 'greeting', 'joining'];

/**
 * Publishes what is known, and asks whether the peer lives, on whichever connection there is.
 * Returns what ends it.
 */
export function startLinkTimers(
  { clock, publish, parameters }: OutgoingContext,
  link: () => OutgoingContext,
): () => void {
  const stopPublishing = clock.every(PUBLISH_MS, publish);
  const stopPinging = clock.every(PING_MS, () => {
    const { peer, channel } = link();
    if (!channel.duplex || peer.isOver || UNASKED_STATES.includes(peer.state)) return;
    peer.ping();
    peer.checkAlive(parameters.stallTimeoutMs);
  });
  return () => {
    stopPublishing();
    stopPinging();
  };
}
