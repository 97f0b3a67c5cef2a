import { SternaError, toSternaError } from '../../base/index.ts';
import { encodeGoodbye } from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { PromisedPages } from '../postcopy/promised-pages.ts';
import { verifyRam } from './verify-sender.ts';

/**
 * The destination observes its guest for 100 ms before it reports; longer means that it has other
 * troubles.
 */
const GUEST_STARTED_LIMIT_MS = 5_000;

/**
 * After the switch: compares the RAM of both sides, learns what the guest saw of it, and says
 * goodbye. The guest runs at the destination already, so no failure here can undo the migration.
 * `only`: the pages that this process has, when it has not all.
 */
export async function prove(context: OutgoingContext, only?: PromisedPages): Promise<void> {
  const { peer, channel, parameters } = context;
  if (!channel.duplex) return;
  try {
    if (parameters.verify === 'after') await verifyRam(context, only);
    else if (parameters.verify === 'off') skipVerify(context, 'switched off');
    await learnGuestDowntime(context);
    if (['resumed', 'late-verified'].includes(peer.state))
      await peer.send('GOODBYE', encodeGoodbye());
    peer.finish();
    await channel.end();
  } catch (thrown) {
    const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Link was lost after the switch');
    proofIncomplete(context, error);
    peer.finish();
    channel.destroy(error);
  }
}

/** The guest is where it should be; what is missing is the proof. */
export function proofIncomplete(context: OutgoingContext, error: SternaError): void {
  skipVerify(context, error.message);
  const { code, message } = error;
  context.log.warn({ event: 'migration.proof-incomplete', code, error: message });
}

/** Leaves a comparison that has come to its end as it is. */
export function skipVerify({ record }: OutgoingContext, reason: string): void {
  if (record.verify.status === 'identical' || record.verify.status === 'mismatch') return;
  record.verify = { ...record.verify, status: 'skipped', reason };
}

/** Throws what strict verification found. */
export function refuseMismatch({ record: { verify } }: OutgoingContext): void {
  if (verify.status !== 'mismatch') return;
  throw new SternaError('E_VERIFY_MISMATCH', 'RAM at the destination differs', {
    detail: { pages: verify.mismatches },
  });
}

/** GUEST_STARTED comes on the connection that there is then: called for each. */
export function noteGuestDowntime({ peer, record }: OutgoingContext): void {
  const noted = peer.guestStarted.promise.then(({ guestDowntimeUs }) => {
    record.guestDowntimeUs = guestDowntimeUs ?? undefined;
    record.guestHasStarted = true;
  });
  noted.catch(() => {});
}

async function learnGuestDowntime({ interrupt, record }: OutgoingContext): Promise<void> {
  // On a connection that was lost it may have come and not arrived.
  const mayBeLost = (record.postcopy?.outages.count ?? 0) > 0;
  if (!record.guestRuns || mayBeLost) return;
  await interrupt.until(() => record.guestHasStarted, GUEST_STARTED_LIMIT_MS, 'GUEST_STARTED');
}
