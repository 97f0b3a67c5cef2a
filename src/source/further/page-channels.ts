import { BATCH_PAGES_MAX, PAGE_BYTES } from '../../base/index.ts';
import type { Channel, SlotFrame } from '../../channel/index.ts';
import { MESSAGE_TYPES } from '../../protocol/index.ts';
import type { LinkMeter } from '../link-meter.ts';
import type { Peer } from '../peer.ts';
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
 * to keep; and whoever ends a pass that was shared out waits (`settle`) until all that went over
 * further ones has been applied, as whoever begins one does (`beginPass`) for what went over the
 * first one before. So what goes later, on whichever connection, is applied later, and the base of
 * a delta is there: QEMU, which only has the destination wait, refuses `xbzrle` beside `multifd`.
 * SWITCHOVER tells how many frames there were, so behind the last pages nobody waits here.
 */
export class PageChannels implements Pick<Channel, 'duplex' | 'sentBytes' | 'sendSlot'> {
  private readonly main: Channel;
  private readonly peer: Peer;
  private readonly meter: LinkMeter;
  private shares: readonly Share[] = [];
  private isSharing = false;
  /** Pages went over the first connection that may be under way. */
  private isMainUsed = false;

  constructor(main: Channel, peer: Peer, meter: LinkMeter) {
    this.main = main;
    this.peer = peer;
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
   * `settle` does. Rejects as that does.
   */
  async beginPass(pages: number, limitMs: number): Promise<void> {
    const isWorthIt = this.isWorthSharing(pages);
    if (isWorthIt && this.isMainUsed) await this.drain(limitMs);
    this.isSharing = isWorthIt;
  }

  /** The same in the pause, where nothing is waited for. */
  beginLastPages(pages: number): void {
    this.isSharing = this.isWorthSharing(pages) && !this.isMainUsed;
  }

  /** Resolves when everything that went over the first connection has been applied. */
  async drain(limitMs: number): Promise<void> {
    await this.peer.drained(limitMs);
    this.isMainUsed = false;
  }

  async sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void> {
    const isPages = frame.type === MESSAGE_TYPES.PAGE_BATCH;
    const share = isPages ? this.next() : undefined;
    if (share === undefined) {
      this.isMainUsed ||= isPages;
      return this.main.sendSlot(slot, frame);
    }
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
    await Promise.all(used.map(({ link }) => link.drained(limitMs)));
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

  private isWorthSharing(pages: number): boolean {
    const { bytesPerMs = 0, roundTripMs } = this.meter;
    const bytesMin = Math.max(SHARED_BYTES_MIN, bytesPerMs * roundTripMs);
    return this.shares.length > 0 && pages * PAGE_BYTES > bytesMin;
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
