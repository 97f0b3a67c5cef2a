import {
  type Clock,
  type Logger,
  type OwnershipAnswer,
  SternaError,
  toSternaError,
} from '../../base/index.ts';
import { encodeJoin, PROTOCOL_VERSION } from '../../protocol/index.ts';
import { Interrupt } from '../interrupt.ts';
import { LinkMeter } from '../link-meter.ts';
import type { Connect } from '../outgoing-contract.ts';
import { Peer } from '../peer.ts';
import { SOFTWARE } from '../setup.ts';
import { refuseRole } from './recovery.ts';

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;
/** Another answer is not from the side that the guest was handed over to. */
const SETTLED: readonly OwnershipAnswer[] = ['moved', 'abandoned', 'lost'];

/** A hand-over, and the epoch in which its guest runs here again. */
export interface Claim {
  readonly uuid: string;
  readonly migrationId: string;
  readonly secret: string;
  /** The epoch that was handed over. */
  readonly epoch: number;
  readonly claimedEpoch: number;
}

export interface ClaimOptions {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly log: Logger;
  /** For the answer of a destination that is there. */
  readonly limitMs: number;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/**
 * The guest was taken back here by an operator's word, who may have been wrong: tells the
 * destination the epoch in which it runs here, should it turn up again, so that it stops its own.
 * Tries until it has answered, or `signal` is raised; resolves with whether it has. It needs
 * nothing of the migration but its names, so another process can do it.
 */
export async function claimGuest(claim: Claim, options: ClaimOptions): Promise<boolean> {
  const { clock, log, signal } = options;
  const { uuid, migrationId, claimedEpoch } = claim;
  for (let retryMs = RETRY_MS_MIN; !signal.aborted; retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
    try {
      const answer = await tell(claim, options);
      log.info({ event: 'ownership.claimed', uuid, migrationId, claimedEpoch, answer });
      if (SETTLED.includes(answer)) return true;
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Destination could not be told');
      log.debug({ event: 'ownership.claim-not-told', code: error.code, error: error.message });
    }
    await clock.sleep(retryMs, signal);
  }
  return false;
}

async function tell(
  { epoch, ...names }: Claim,
  { connect, clock, limitMs, signal }: ClaimOptions,
): Promise<OwnershipAnswer> {
  const channel = await connect(signal);
  const interrupt = new Interrupt(clock);
  const peer = new Peer(channel, clock, interrupt, new LinkMeter());
  const giveUp = () => interrupt.raise(new SternaError('E_CANCELLED', 'Claim was given up'));
  signal.addEventListener('abort', giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    channel.start(peer);
    const who = { protocol: PROTOCOL_VERSION, software: SOFTWARE, role: 'recover' } as const;
    await peer.send('JOIN', encodeJoin({ ...who, ...names, epoch }));
    await interrupt.until(() => peer.state !== 'joining', limitMs, 'answer to JOIN');
    refuseRole(peer, 'RECOVERY');
    const answer = await peer.recovery.promise;
    if (answer.epoch === epoch) return answer.outcome;
    throw new SternaError('E_RECOVERY_REFUSED', 'Destination answered for another epoch', {
      detail: { epoch: answer.epoch, expected: epoch },
    });
  } finally {
    signal.removeEventListener('abort', giveUp);
    peer.finish();
    void channel.end().catch(() => {});
  }
}
