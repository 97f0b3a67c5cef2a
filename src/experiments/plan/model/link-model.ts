import { PAGE_BYTES } from '../../../base/index.ts';
import type { PlanLink } from '../plan-setup.ts';

/** As `source/link-meter.ts` has them. */
const WINDOW_MS = 25;
const WINDOW_BYTES_MIN = 2 ** 20;
const WINDOW_BYTES_MAX = 64 * 2 ** 20;
/** A frame takes about 2 ms of a limited link (`source/frames/send-pace.ts`). */
const FRAME_MS = 2;
const FRAME_BYTES = 36;
const FRAME_PAGES_MIN = 4;
const FRAME_PAGES_MAX = 256;

/** The link of a simulated migration, and what is under way on it. */
export class LinkModel {
  readonly link: PlanLink;
  /** The sender's own, of a policy; 0: none. */
  paceBytesPerMs = 0;
  inFlightBytes = 0;
  private readonly limitBytesPerMs: number;
  private readonly meterExcess: number;

  /** `meterExcess`: what the link meter tells of a limited link, as a multiple of the limit. */
  constructor(link: PlanLink, maxBandwidthBytesPerSecond: number, meterExcess: number) {
    this.link = link;
    this.limitBytesPerMs = maxBandwidthBytesPerSecond / 1000;
    this.meterExcess = meterExcess;
  }

  /** At which frames are written while the guest runs. */
  get bytesPerMs(): number {
    const limits = [this.link.bytesPerMs, this.limitBytesPerMs, this.paceBytesPerMs];
    return Math.min(...limits.filter((rate) => rate > 0));
  }

  get meteredBytesPerMs(): number {
    return Math.min(this.link.bytesPerMs, this.bytesPerMs * this.meterExcess);
  }

  /** What a page's share of a frame adds to it. */
  get frameBytesPerPage(): number {
    const pages = Math.floor((this.bytesPerMs * FRAME_MS) / PAGE_BYTES);
    return FRAME_BYTES / Math.min(FRAME_PAGES_MAX, Math.max(FRAME_PAGES_MIN, pages));
  }

  /** Bytes that can be written at once: the window has room. */
  get roomBytes(): number {
    return this.isBound ? Math.max(0, this.windowBytes - this.inFlightBytes) : 0;
  }

  /**
   * So many bytes were written, and the sender then waited for something else for `waitedMs`, in
   * which the link went on.
   */
  wrote(bytes: number, waitedMs: number): void {
    const { roundTripMs, bytesPerMs } = this.link;
    const underWay = this.isBound
      ? Math.min(this.windowBytes, this.inFlightBytes + bytes)
      : Math.min(bytes, this.bytesPerMs * roundTripMs);
    this.inFlightBytes = Math.max(0, underWay - waitedMs * bytesPerMs);
  }

  /** Waits until all has arrived; returns how long that takes. */
  drain(): number {
    const ms = this.inFlightBytes / this.link.bytesPerMs + this.link.roundTripMs;
    this.inFlightBytes = 0;
    return ms;
  }

  /** Nothing but the link holds the sender up. */
  private get isBound(): boolean {
    return this.bytesPerMs >= this.link.bytesPerMs;
  }

  private get windowBytes(): number {
    const bytes = this.link.bytesPerMs * (2 * this.link.roundTripMs + WINDOW_MS);
    return Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, bytes));
  }
}
