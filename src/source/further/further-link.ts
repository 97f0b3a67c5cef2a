import { deadline, SternaError } from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import { encodeJoin, type JoinRole } from '../../protocol/index.ts';
import { Interrupt } from '../interrupt.ts';
import { LinkMeter } from '../link-meter.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { Peer } from '../peer.ts';
import { joinBody, refuseRole } from '../postcopy/recovery.ts';

const PING_MS = 500;

/** What a connection for pages alone is for. */
type FurtherRole = Exclude<JoinRole, 'recover'>;

/**
 * A further connection of a migration, for pages alone: those that a vCPU waits for
 * (`postcopy-preempt`), so that they do not queue behind those that nobody waits for; or its share
 * of all pages before the switch (`multifd`).
 */
export class FurtherLink {
  readonly channel: Channel;
  private readonly peer: Peer;
  private readonly stopPinging: () => void;

  /** When the connection breaks, so does that of `context`: what was under way may be lost. */
  private constructor(
    { clock, parameters, interrupt: main }: OutgoingContext,
    channel: Channel,
    peer: Peer,
    own: Interrupt,
  ) {
    this.channel = channel;
    this.peer = peer;
    this.stopPinging = clock.every(PING_MS, () => {
      peer.ping();
      peer.checkAlive(parameters.stallTimeoutMs);
    });
    own.onRaise((error) => {
      this.stopPinging();
      main.raise(error);
    });
    // Whoever waits for an answer here hears of it.
    main.onRaise((error) => own.raise(error));
  }

  /**
   * Rejects when there is none within the stall timeout, when the destination does not take it,
   * when the connection of `context` is lost meanwhile, or with the reason of `giveUp`.
   */
  static async open(
    context: OutgoingContext,
    connect: Connect,
    role: FurtherRole,
    giveUp = new AbortController(),
  ): Promise<FurtherLink> {
    const { clock, interrupt, parameters } = context;
    const { signal } = giveUp;
    const limitMs = parameters.stallTimeoutMs;
    const stop = deadline(clock, limitMs, () => giveUp.abort(noneWithin(role, limitMs)));
    interrupt.onRaise((error) => giveUp.abort(error));
    try {
      return await FurtherLink.attach(context, await connect(signal), role, signal);
    } catch (thrown) {
      throw signal.aborted ? signal.reason : thrown;
    } finally {
      stop();
    }
  }

  private static async attach(
    context: OutgoingContext,
    channel: Channel,
    role: FurtherRole,
    giveUp: AbortSignal,
  ): Promise<FurtherLink> {
    const { clock, parameters } = context;
    const own = new Interrupt(clock);
    const peer = new Peer(channel, clock, own, new LinkMeter());
    const leave = () => own.raise(giveUp.reason);
    giveUp.addEventListener('abort', leave, { once: true });
    if (giveUp.aborted) leave();
    try {
      channel.start(peer);
      await peer.send('JOIN', encodeJoin(joinBody(context, role)));
      await own.until(() => peer.state !== 'joining', parameters.stallTimeoutMs, 'ATTACHED');
      own.throwIfRaised();
      refuseRole(peer, 'ATTACHED');
    } catch (thrown) {
      peer.finish();
      channel.destroy();
      throw thrown;
    } finally {
      giveUp.removeEventListener('abort', leave);
    }
    return new FurtherLink(context, channel, peer, own);
  }

  /** Resolves when all that was sent on it has been applied. Rejects as `Peer.drained` does. */
  drained(limitMs: number): Promise<void> {
    return this.peer.drained(limitMs);
  }

  /** Nothing is sent on it any more, and that it breaks means nothing. */
  rest(): void {
    this.stopPinging();
    this.peer.finish();
  }

  /** Resolves when all that was sent is delivered. */
  async close(): Promise<void> {
    this.rest();
    await this.channel.end();
  }

  destroy(): void {
    this.rest();
    this.channel.destroy(new SternaError('E_CHANNEL_RESET', 'Connection is not needed any more'));
  }
}

function noneWithin(role: FurtherRole, limitMs: number): SternaError {
  const text = `No further connection (${role}) within ${limitMs} ms`;
  return new SternaError('E_CHANNEL_TIMEOUT', text, { detail: { role, limitMs } });
}
