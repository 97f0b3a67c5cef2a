import { MULTIFD_CHANNELS_MAX, SternaError } from '../../base/index.ts';
import { MULTIFD_SLOT, SECOND_SLOT } from '../../guestmem/index.ts';
import { encodeAttached, type HelloBody } from '../../protocol/index.ts';
import type { IncomingLink } from '../incoming-link.ts';
import type { IncomingRecord } from '../incoming-record.ts';

/** While pages may still come on connections of `multifd`: until all of them are accounted for. */
const SHARING_STATES: readonly string[] = ['setup', 'active', 'stopped', 'device', 'loading'];

/**
 * The connections of a migration that carry pages alone: the second one, for pages that vCPUs wait
 * for, and those of `multifd`. That one of them ends means nothing by itself: whether anything was
 * under way on it only the source knows, and SWITCHOVER tells how many frames there were.
 */
export class FurtherLinks {
  private readonly record: IncomingRecord;
  private second: IncomingLink | undefined;
  private readonly multifd: IncomingLink[] = [];

  constructor(record: IncomingRecord) {
    this.record = record;
    record.multifd = this;
  }

  /** There is one for pages that vCPUs wait for. */
  get hasSecond(): boolean {
    return this.second !== undefined;
  }

  /** On all that there were of `multifd`. */
  get receivedBytes(): number {
    return this.multifd.reduce((sum, { channel }) => sum + channel.receivedBytes, 0);
  }

  includes(link: IncomingLink): boolean {
    return link === this.second || this.multifd.includes(link);
  }

  /** In place of the one before. */
  attachSecond(link: IncomingLink): void {
    this.second?.drop(new SternaError('E_CHANNEL_RESET', 'Another connection took its place'));
    link.role = 'preempt';
    link.slot = SECOND_SLOT;
    this.setSecond(link);
    link.send('ATTACHED', encodeAttached());
  }

  /**
   * `main`: whose acknowledgements are for what comes there, too. Throws E_RECOVERY_REFUSED when it
   * was not agreed on, for one too many, and once the pages have come.
   */
  attachMultifd(link: IncomingLink, main: IncomingLink, hello: HelloBody | undefined): void {
    const count = this.multifd.length;
    const isAgreed = hello?.capabilities.includes('multifd') ?? false;
    if (!isAgreed || count >= MULTIFD_CHANNELS_MAX || !SHARING_STATES.includes(main.state)) {
      throw new SternaError('E_RECOVERY_REFUSED', 'No further connection is taken for pages now', {
        detail: { agreed: isAgreed, count, max: MULTIFD_CHANNELS_MAX, phase: main.state },
      });
    }
    link.role = 'multifd';
    link.slot = MULTIFD_SLOT + count;
    this.multifd.push(link);
    main.furtherBytes = () => this.receivedBytes;
    link.send('ATTACHED', encodeAttached());
  }

  /**
   * One of them has ended. True when that `error` ends the migration: what comes cannot be read,
   * and the source, which may see a whole connection, waits for an answer.
   */
  closed(link: IncomingLink, main: IncomingLink, error: SternaError | undefined): boolean {
    if (link === this.second) this.setSecond(undefined);
    return link.role === 'multifd' && error !== undefined && SHARING_STATES.includes(main.state);
  }

  /** Gives up all of them; `leave` says why. */
  leave(leave: (link: IncomingLink) => void): void {
    for (const link of this.all()) leave(link);
    this.setSecond(undefined);
  }

  /** Ends them; what was sent on them before has been read. */
  end(): void {
    for (const { channel } of this.all()) void channel.end().catch(() => {});
  }

  private setSecond(link: IncomingLink | undefined): void {
    this.second = link;
    this.record.attach(link?.channel);
  }

  private all(): readonly IncomingLink[] {
    return this.second === undefined ? this.multifd : [...this.multifd, this.second];
  }
}

/** Throws E_PROTOCOL_UNEXPECTED_MESSAGE for pages on a further connection that come too late. */
export function refuseLatePages(link: IncomingLink, main: IncomingLink, inPostcopy: boolean): void {
  const { role } = link;
  if (role === 'main' || SHARING_STATES.includes(main.state)) return;
  if (role === 'preempt' && inPostcopy) return;
  throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Pages came behind the last one', {
    detail: { role, phase: main.state },
  });
}
