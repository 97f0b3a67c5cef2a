import { type Clock, SternaError } from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import { encodeJoin, type JoinBody } from '../../protocol/index.ts';
import { Interrupt } from '../interrupt.ts';
import { LinkMeter } from '../link-meter.ts';
import { Peer } from '../peer.ts';
import { refuseRole } from './recovery.ts';

const ATTACH_LIMIT_MS = 10_000;
const PING_MS = 500;

/**
 * The second connection of `postcopy-preempt`: pages that a vCPU waits for do not queue behind
 * those that nobody waits for.
 */
export class PreemptLink {
  readonly channel: Channel;
  private readonly peer: Peer;
  private readonly stopPinging: () => void;

  private constructor(channel: Channel, peer: Peer, clock: Clock) {
    this.channel = channel;
    this.peer = peer;
    this.stopPinging = clock.every(PING_MS, () => peer.ping());
  }

  /**
   * `lost` is told when the connection breaks later: what was under way on it is not known. Rejects
   * when the destination does not take it.
   */
  static async open(
    channel: Channel,
    clock: Clock,
    join: JoinBody,
    lost: (error: SternaError) => void,
  ): Promise<PreemptLink> {
    const interrupt = new Interrupt(clock);
    const peer = new Peer(channel, clock, interrupt, new LinkMeter());
    channel.start(peer);
    try {
      await peer.send('JOIN', encodeJoin(join));
      await interrupt.until(() => peer.state !== 'joining', ATTACH_LIMIT_MS, 'ATTACHED');
      refuseRole(peer, 'ATTACHED');
    } catch (thrown) {
      peer.finish();
      channel.destroy();
      throw thrown;
    }
    const link = new PreemptLink(channel, peer, clock);
    interrupt.onRaise((error) => {
      link.stopPinging();
      lost(error);
    });
    return link;
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
