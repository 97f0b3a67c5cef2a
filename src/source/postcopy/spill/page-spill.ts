import { errorReport, type SpillInfo, toSternaError } from '../../../base/index.ts';
import type { OutgoingContext } from '../../outgoing-context.ts';
import type { PromisedPages } from '../promised-pages.ts';
import type { SourceHalf, Spill } from './spill.ts';

/**
 * The page spill of one migration: written beside the sending, told of in the record, and removed
 * when the destination has everything. Only the end of the whole migration waits for that, and it
 * ends nothing: a disk that is full costs the spill alone.
 */
export class PageSpill {
  private readonly spill: Spill;
  private status: SpillInfo['status'];
  /** Nobody needs it any more. */
  private isOver = false;
  private writtenBytes = 0;
  private durableAfterMs: number | undefined;
  private error: SpillInfo['error'];

  private constructor(spill: Spill, status: SpillInfo['status']) {
    this.spill = spill;
    this.status = status;
  }

  /** Begins to write the half. Undefined without a spill, or a secret that would be of use. */
  static begin(
    context: OutgoingContext,
    pages: PromisedPages,
    spill: Spill | undefined,
  ): PageSpill | undefined {
    if (spill === undefined || context.secret === undefined) return undefined;
    const written = new PageSpill(spill, 'writing');
    void written.write(context, pages, context.secret);
    return written;
  }

  /** One that a process before this one has written. */
  static found(spill: Spill): PageSpill {
    return new PageSpill(spill, 'durable');
  }

  info(): SpillInfo {
    const { status, writtenBytes, durableAfterMs, error } = this;
    return { path: this.spill.path, status, writtenBytes, durableAfterMs, error };
  }

  /** No page is missing any more. Never rejects: a file that stays is refused by its epoch. */
  async end({ log, reached, publish }: OutgoingContext): Promise<void> {
    if (this.status === 'failed') return;
    const { path } = this.spill;
    this.isOver = true;
    try {
      await this.spill.remove();
      // Not before: who is told so finds nothing.
      this.status = 'removed';
      reached('source.spill-removed');
      log.info({ event: 'spill.removed', path });
    } catch (thrown) {
      const { code, message } = toSternaError(thrown, 'E_FILE', `Cannot remove ${path}`);
      log.warn({ event: 'spill.not-removed', path, code, error: message });
    }
    publish();
  }

  private async write(context: OutgoingContext, pages: PromisedPages, secret: string) {
    const { machine, clock, log, migrationId, record, peerName, reached, publish } = context;
    const { description, memory } = machine;
    const replaced = context.journal?.switchHashes;
    const startMs = clock.nowMs();
    const epoch = record.startEpoch + 1;
    const name = { migrationId, secret, epoch, peer: peerName };
    const wrote = (bytes: number) => {
      this.writtenBytes += bytes;
      reached('source.spill-piece-written');
    };
    try {
      const isReplaced: SourceHalf['isReplaced'] = (block, pfn) =>
        replaced?.has(block, pfn) ?? false;
      const half = { ...name, machine: description, memory, pages };
      await this.spill.write(replaced === undefined ? half : { ...half, isReplaced }, wrote);
      if (this.isOver) return;
      this.status = 'durable';
      this.durableAfterMs = clock.nowMs() - startMs;
      const { path } = this.spill;
      const { writtenBytes, durableAfterMs } = this;
      log.info({ event: 'spill.durable', path, writtenBytes, durableAfterMs });
      reached('source.spill-durable');
    } catch (thrown) {
      // Removed while it was written.
      if (this.isOver) return;
      const error = toSternaError(thrown, 'E_FILE', 'Page spill could not be written');
      this.status = 'failed';
      this.error = errorReport(error);
      const { code, message } = error;
      log.warn({ event: 'spill.failed', path: this.spill.path, code, error: message });
    }
    publish();
  }
}
