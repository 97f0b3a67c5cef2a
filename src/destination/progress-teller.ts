import type { Clock } from '../base/index.ts';
import { encodeProgress } from '../protocol/index.ts';
import type { IncomingLink } from './incoming-link.ts';

/**
 * The source learns how far this side is at least this often, so that its window and its estimates
 * are right.
 */
const TELL_BYTES = 512 * 2 ** 10;
const TELL_MS = 5;
/** In post-copy, what may stay untold. Less than the smallest window of a source. */
const UNTOLD_BYTES_MAX = 8 * 2 ** 10;

/**
 * When PROGRESS goes out. Each one is a system call here and a wake-up of the source, and costs as
 * much as applying a frame (docs/adr/0012).
 */
export class ProgressTeller {
  private readonly clock: Clock;
  private readonly link: () => IncomingLink;
  private readonly appliedPages: () => number;
  private toldLink: IncomingLink | undefined;
  private toldBytes = 0;
  /** At the end of the last frame; by now a part of the next one may be here. */
  private appliedBytes = 0;
  private toldMs = 0;
  private isTurnAwaited = false;

  /** `link`: the connection on which the source is answered now. */
  constructor(clock: Clock, link: () => IncomingLink, appliedPages: () => number) {
    this.clock = clock;
    this.link = link;
    this.appliedPages = appliedPages;
  }

  /** Between two frames: everything that was received has been applied. */
  tell(): void {
    this.tellBytes(this.link().receivedBytes);
  }

  /** After a frame of a pass. */
  tellIfDue(): void {
    const isOld = this.clock.nowMs() - this.toldMs >= TELL_MS;
    if (isOld || this.untoldBytes >= TELL_BYTES) this.tell();
  }

  /**
   * After a frame of post-copy. What is told lets the next pages go, so it is told when nothing
   * more is there to read, or earlier when that is much: one answer for all frames that came
   * together. A page that a vCPU waited for needs none by itself.
   */
  acknowledge(): void {
    if (this.untoldBytes >= TELL_BYTES) return this.tell();
    this.appliedBytes = this.link().receivedBytes;
    if (this.isTurnAwaited || this.untoldBytes < UNTOLD_BYTES_MAX) return;
    this.isTurnAwaited = true;
    const link = this.link();
    void this.clock.yieldToLoop().then(() => {
      this.isTurnAwaited = false;
      // It may have been told meanwhile, or nobody may be there any more.
      const isTold = link === this.toldLink && this.appliedBytes <= this.toldBytes;
      if (isTold || link !== this.link() || !link.maySend('PROGRESS')) return;
      this.tellBytes(this.appliedBytes);
    });
  }

  private tellBytes(receivedBytes: number): void {
    const link = this.link();
    this.toldLink = link;
    this.toldBytes = receivedBytes;
    this.toldMs = this.clock.nowMs();
    link.send('PROGRESS', encodeProgress({ receivedBytes, pages: this.appliedPages() }));
  }

  private get untoldBytes(): number {
    const link = this.link();
    // Each connection counts anew.
    return link.receivedBytes - (link === this.toldLink ? this.toldBytes : 0);
  }
}
