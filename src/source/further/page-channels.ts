import { BATCH_PAGES_MAX, PAGE_BYTES } from '../../base/index.ts';
import type { Channel, SlotFrame } from '../../channel/index.ts';
import { MESSAGE_TYPES } from '../../protocol/index.ts';
import type { LinkMeter } from '../link-meter.ts';
import type { FurtherLink } from './further-link.ts';

/** A pass that fits into one frame has nothing to share out. */
const SHARED_BYTES_MIN = BATCH_PAGES_MAX * PAGE_BYTES;

/** One of several connections. */
interface Share {
  readonly link: FurtherLink;
  /** Given to it, and not taken by its transport yet. */
  untakenBytes: number;
  isUsed: boolean;
}

/**
 * The connections on which page frames go (`multifd`): those of a pass that is worth it are shared
 * out among all further ones, all others go the way of the messages. One connection is not enough
 * where its window or its losses bound it, and not the link.
 *
 * Connections do not keep each other's order. A pass has each page once, so within it there is none
 * to keep; and whoever ends a pass waits (`settle`) until all that went over further ones has been
 * applied. So what goes later, on whichever connection, is applied later, and the base of a delta
 * is there: QEMU, which only has the destination wait, refuses `xbzrle` beside `multifd`.
 * SWITCHOVER tells how many frames there were, so behind the last pages nobody waits here.
 */
export class PageChannels implements Pick<Channel, 'duplex' | 'sentBytes' | 'sendSlot'> {
  private readonly main: Channel;
  private readonly meter: LinkMeter;
  private shares: readonly Share[] = [];
  private isSharing = false;

  constructor(main: Channel, meter: LinkMeter) {
    this.main = main;
    this.meter = meter;
  }

  get duplex(): boolean {
    return this.main.duplex;
  }

  /** On all of them, also on those that were closed. */
  get sentBytes(): number {
    return this.main.sentBytes + this.furtherBytes;
  }

  /** On further ones. */
  get furtherBytes(): number {
    return this.shares.reduce((sum, { link }) => sum + link.channel.sentBytes, 0);
  }

  /** Pages are shared out now, so that several frames may wait for a transport at once. */
  get isShared(): boolean {
    return this.isSharing;
  }

  add(links: readonly FurtherLink[]): void {
    this.shares = links.map((link) => ({ link, untakenBytes: 0, isUsed: false }));
  }

  /**
   * So many pages follow. They are shared out when they take longer than the round trip that
   * `settle` does.
   */
  beginPass(pages: number): void {
    const { bytesPerMs = 0, roundTripMs } = this.meter;
    const bytesMin = Math.max(SHARED_BYTES_MIN, bytesPerMs * roundTripMs);
    this.isSharing = this.shares.length > 0 && pages * PAGE_BYTES > bytesMin;
  }

  async sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void> {
    const share = frame.type === MESSAGE_TYPES.PAGE_BATCH ? this.next() : undefined;
    if (share === undefined) return this.main.sendSlot(slot, frame);
    share.isUsed = true;
    share.untakenBytes += frame.bodyBytes;
    await share.link.channel.sendSlot(slot, frame);
    share.untakenBytes -= frame.bodyBytes;
  }

  /**
   * Resolves when everything that went over further connections has been applied. Rejects as the
   * migration's interrupt does, or with E_CHANNEL_TIMEOUT.
   */
  async settle(limitMs: number): Promise<void> {
    this.isSharing = false;
    const used = this.shares.filter(({ isUsed }) => isUsed);
    for (const share of used) share.isUsed = false;
    await Promise.all(used.map(({ link }) => link.settle(limitMs)));
  }

  /** The destination has all that was sent on them: they may break. */
  rest(): void {
    this.isSharing = false;
    for (const { link } of this.shares) link.rest();
  }

  close(): void {
    for (const { link } of this.shares) link.close().catch(() => {});
  }

  destroy(): void {
    for (const { link } of this.shares) link.destroy();
  }

  /** The one that has least to do, and of several the one that has done least. */
  private next(): Share | undefined {
    if (!this.isSharing) return undefined;
    return this.shares.reduce((best, share) => {
      const lead = best.untakenBytes - share.untakenBytes;
      const isLess = lead > 0 || (lead === 0 && bytesOf(share) < bytesOf(best));
      return isLess ? share : best;
    });
  }
}

function bytesOf({ link }: Share): number {
  return link.channel.sentBytes;
}
