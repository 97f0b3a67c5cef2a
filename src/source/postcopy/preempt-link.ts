import { deadline, SternaError } from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import { encodeJoin } from '../../protocol/index.ts';
import { Interrupt } from '../interrupt.ts';
import { LinkMeter } from '../link-meter.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { Peer } from '../peer.ts';
import { joinBody, refuseRole } from './recovery.ts';

const PING_MS = 500;

/**
 * The second connection of `postcopy-preempt`: pages that a vCPU waits for do not queue behind
 * those that nobody waits for.
 */
export class PreemptLink {
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
  }

  /**
   * Rejects when there is none within the stall timeout, when the destination does not take it,
   * when the connection of `context` is lost meanwhile, or with the reason of `giveUp`.
   */
  static async open(
    context: OutgoingContext,
    connect: Connect,
    giveUp = new AbortController(),
  ): Promise<PreemptLink> {
    const { clock, interrupt, parameters } = context;
    const { signal } = giveUp;
    const limitMs = parameters.stallTimeoutMs;
    const stop = deadline(clock, limitMs, () => giveUp.abort(noneWithin(limitMs)));
    interrupt.onRaise((error) => giveUp.abort(error));
    try {
      return await PreemptLink.attach(context, await connect(signal), signal);
    } catch (thrown) {
      throw signal.aborted ? signal.reason : thrown;
    } finally {
      stop();
    }
  }

  private static async attach(
    context: OutgoingContext,
    channel: Channel,
    giveUp: AbortSignal,
  ): Promise<PreemptLink> {
    const { clock, parameters } = context;
    const own = new Interrupt(clock);
    const peer = new Peer(channel, clock, own, new LinkMeter());
    const leave = () => own.raise(giveUp.reason);
    giveUp.addEventListener('abort', leave, { once: true });
    if (giveUp.aborted) leave();
    try {
      channel.start(peer);
      await peer.send('JOIN', encodeJoin(joinBody(context, 'preempt')));
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
    return new PreemptLink(context, channel, peer, own);
  }

  /** Resolves when all that was sent is delivered. */
  async close(): Promise<void> {
    this.stopPinging();
    this.peer.finish();
    await this.channel.end();
  }

  destroy(): void {
    this.stopPinging();
    this.peer.finish();
    this.channel.destroy(new SternaError('E_CHANNEL_RESET', 'Connection is not needed any more'));
  }
}

function noneWithin(limitMs: number): SternaError {
  return new SternaError('E_CHANNEL_TIMEOUT', `No second connection within ${limitMs} ms`, {
    detail: { limitMs },
  });
}
