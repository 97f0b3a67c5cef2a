import { SternaError } from '../../base/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { FurtherLink } from './further-link.ts';

/**
 * Makes the further connections of `multifd`, as many as `multifd-channels` says. Rejects when one
 * of them cannot be had: then there is none. The guest runs here, so there is no need to do with
 * fewer than the user asked for.
 */
export async function openLinks(
  context: OutgoingContext,
  connect: Connect | undefined,
): Promise<readonly FurtherLink[]> {
  if (!context.capabilities.multifd) return [];
  if (connect === undefined) {
    const text = 'Several connections need a way to make them';
    throw new SternaError('E_CONFIG_INVALID', text, { detail: { capability: 'multifd' } });
  }
  const { multifdChannels } = context.parameters;
  const attempts = Array.from({ length: multifdChannels }, () => new AbortController());
  const opening = attempts.map(async (attempt) => {
    try {
      return await FurtherLink.open(context, connect, 'multifd', attempt);
    } catch (thrown) {
      for (const other of attempts) other.abort(thrown);
      throw thrown;
    }
  });
  const opened = await Promise.allSettled(opening);
  const links = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const refused = opened.find((one) => one.status === 'rejected');
  if (refused === undefined) return links;
  for (const link of links) link.destroy();
  throw refused.reason;
}
