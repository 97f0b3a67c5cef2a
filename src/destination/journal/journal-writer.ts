import {
  type Clock,
  type Deferred,
  deferred,
  type Logger,
  type ReachFault,
  SternaError,
  toSternaError,
} from '../../base/index.ts';
import { RateLimiter } from '../../channel/index.ts';
import type { Machine, MachineState } from '../../guestmem/index.ts';
import {
  encodeJournalPoint,
  encodeJournalState,
  FRAME_HEADER_BYTES,
  type JournalAckBody,
} from '../../protocol/index.ts';
import type { IncomingLink } from '../incoming-link.ts';
import { DirtyPages } from './dirty-pages.ts';
import { JournalRecord } from './journal-record.ts';
import type { JournalSettings } from './journal-settings.ts';
import { RoundPolicy } from './round-policy.ts';
import { type StagedFrame, StagedFrames } from './staged-frames.ts';
import { Waker } from './waker.ts';

/** JOURNAL_PAGES that are not acknowledged: what a PAGE_REQUEST can come to wait behind. */
const WINDOW_BATCHES = 4;

export interface JournalWriterOptions {
  readonly machine: Machine;
  readonly settings: JournalSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly reached: ReachFault;
}

/** A state of the whole guest: its last pages and its vCPUs, copied while it stood still. */
interface Point {
  readonly frames: readonly StagedFrame[];
  readonly state: MachineState;
  readonly atMs: number;
}

/**
 * Tells the source what the guest changes here while pages are missing, a consistent point after
 * the other (docs/protocol.md, Journal). The guest stands still while pages are copied and not
 * while they are sent; the next point begins when the source has the last one. It outlives the
 * connections: what a lost one had of a point is sent again with the next point.
 */
export class JournalWriter {
  readonly record = new JournalRecord();
  private readonly options: JournalWriterOptions;
  private readonly dirty: DirtyPages;
  private readonly staged = new StagedFrames();
  private readonly policy = new RoundPolicy();
  private readonly limiter: RateLimiter;
  private readonly waker: Waker;
  private link: IncomingLink | undefined;
  /** The loop that makes points, once it runs. */
  private running: Promise<void> | undefined;
  private stopped = false;
  private readonly stopping: Deferred<void> = deferred();
  /** The point that is being made, and the last one that the source has said that it has. */
  private point = 0;
  private acknowledgedPoint = 0;
  /** JOURNAL_PAGES of the point that is being made, on this connection. */
  private sentBatches = 0;
  private acknowledgedBatches = 0;
  private sentPages = 0;

  constructor(options: JournalWriterOptions) {
    const { machine, clock, settings } = options;
    this.options = options;
    this.dirty = new DirtyPages(machine);
    this.limiter = new RateLimiter(clock, settings.bandwidthBytesPerSecond);
    this.waker = new Waker(clock);
  }

  /** From now on points go out on `link`. */
  linked(link: IncomingLink): void {
    this.link = link;
    this.waker.wake();
    if (this.stopped) return;
    this.running ??= this.run();
  }

  /** What was under way is lost. */
  unlinked(): void {
    this.link = undefined;
    this.waker.wake();
  }

  /**
   * The guest is whole, or is given up. Resolves when nothing of the journal touches the machine
   * any more: then another may flip its logs. Never rejects.
   */
  stop(): Promise<void> {
    this.stopped = true;
    this.stopping.resolve();
    this.unlinked();
    return this.running ?? Promise.resolve();
  }

  /** No more points, for good: the record says why. */
  end(error: SternaError): void {
    if (this.stopped || this.record.error !== undefined) return;
    this.record.error = error;
    this.options.log.warn({ event: 'journal.ended', code: error.code, error: error.message });
    void this.stop();
  }

  /** Throws E_PROTOCOL_BAD_BODY for what was never sent. */
  acknowledged({ point, batches }: JournalAckBody): void {
    if (this.link === undefined) return;
    const isWhole = point === this.point && batches === 0;
    // The answer to the last point may have been lost with a connection.
    const isPart = point < this.point && batches <= this.sentBatches;
    if (!isWhole && !isPart) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Source acknowledges what was never sent', {
        detail: { point, batches, sentPoint: this.point, sentBatches: this.sentBatches },
      });
    }
    if (isWhole) this.acknowledgedPoint = point;
    else this.acknowledgedBatches = batches;
    this.waker.wake();
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    const { clock, settings } = this.options;
    let beginMs = clock.nowMs();
    try {
      while (!this.stopped && !this.record.isOverfull) {
        const dueMs = beginMs + settings.intervalMs - clock.nowMs();
        if (this.link === undefined || dueMs > 0) {
          await this.waker.wait(this.link === undefined ? undefined : dueMs);
          continue;
        }
        beginMs = clock.nowMs();
        await this.makePoint(this.link);
      }
    } catch (thrown) {
      // A vCPU that does not answer ends the journal alone: its guest may still do.
      this.end(toSternaError(thrown, 'E_WORKER_DIED', 'A point of the journal could not be made'));
    }
  }

  private async makePoint(link: IncomingLink): Promise<void> {
    const { dirty, options } = this;
    this.sentBatches = 0;
    this.acknowledgedBatches = 0;
    this.sentPages = 0;
    this.point += 1;
    this.policy.beginPoint();
    const stands = options.machine.pauseReasons().length > 0;
    let dirtyPages = await dirty.collect();
    this.record.lagPages = dirtyPages;
    if (stands && dirtyPages === 0) return;
    while (this.isOn(link) && this.policy.next(dirtyPages) === 'round') {
      if (this.isTooMuch(dirty.countLagging())) break;
      await this.sendRound(link);
      dirtyPages = await dirty.collect();
    }
    const isOn = this.isOn(link) && !this.record.isOverfull;
    const point = isOn ? await this.copyPoint() : undefined;
    if (point !== undefined) await this.sendPoint(link, point);
    if (this.acknowledgedPoint === this.point && point !== undefined) {
      dirty.acknowledged();
      this.record.acknowledged(point.atMs);
      this.record.lagPages = dirty.count();
      options.reached('destination.journal-written');
    } else dirty.restore();
  }

  /** While the guest runs: what it changes meanwhile is sent again. */
  private async sendRound(link: IncomingLink): Promise<void> {
    this.dirty.beginTaking();
    for (const block of this.options.machine.memory.blocks) {
      for (let next = 0; next < block.layout.pageCount && this.isOn(link); ) {
        if (!(await this.mayGo(link))) return;
        this.staged.clear();
        const taken = this.staged.take(block, next);
        if (taken === undefined) break;
        next = taken.next;
        await this.sendFrame(link, taken.frame);
      }
    }
  }

  /** Undefined when there is more than the source would keep. */
  private async copyPoint(): Promise<Point | undefined> {
    const { machine, clock } = this.options;
    const { dirty, record } = this;
    this.staged.clear();
    const startMs = clock.nowMs();
    try {
      await machine.pause('checkpoint');
      const dirtyPages = await dirty.collect();
      // Without a round before nothing is under way, and the guest need not wait for the count.
      const lagging = this.sentBatches === 0 ? dirtyPages : dirty.countLagging();
      record.lagPages = lagging;
      if (this.isTooMuch(lagging)) return undefined;
      dirty.beginTaking();
      const frames = this.staged.takeAll(machine);
      return { frames, state: await machine.save(), atMs: clock.nowMs() };
    } finally {
      machine.resume('checkpoint');
      record.paused(clock.nowMs() - startMs);
    }
  }

  /** More than the source would keep: then it is the end, for it can only become more. */
  private isTooMuch(lagPages: number): boolean {
    const { log, settings } = this.options;
    const { bufferPages } = settings;
    if (lagPages <= bufferPages) return false;
    this.record.isOverfull = true;
    log.warn({ event: 'journal.overfull', lagPages, bufferPages });
    return true;
  }

  private async sendPoint(link: IncomingLink, { frames, state, atMs }: Point): Promise<void> {
    const { clock } = this.options;
    for (const frame of frames) {
      if (!(await this.mayGo(link))) return;
      await this.sendFrame(link, frame);
    }
    if (!this.isOn(link)) return;
    link.send('JOURNAL_STATE', encodeJournalState(state));
    const counts = { pages: this.sentPages, batches: this.sentBatches };
    const ageMs = clock.nowMs() - atMs;
    link.send('JOURNAL_POINT', encodeJournalPoint({ point: this.point, ...counts, ageMs }));
    while (this.isOn(link) && this.acknowledgedPoint !== this.point) await this.waker.wait();
  }

  private async sendFrame(link: IncomingLink, frame: StagedFrame): Promise<void> {
    const bytes = FRAME_HEADER_BYTES + frame.slot.bodyBytes;
    this.limiter.take(bytes);
    this.sentBatches += 1;
    this.sentPages += frame.pages;
    this.record.pages += frame.pages;
    this.record.bytes += bytes;
    // A source that does not read must not keep the guest from whoever is next. After the end no
    // frame is staged, so what lies in this one stays until it has gone.
    await Promise.race([link.sendPages(frame.bytes, frame.slot), this.stopping.promise]);
  }

  /** Waits for the window and the rate. False: the connection is lost meanwhile. */
  private async mayGo(link: IncomingLink): Promise<boolean> {
    while (this.isOn(link)) {
      if (this.sentBatches - this.acknowledgedBatches >= WINDOW_BATCHES) {
        await this.waker.wait();
        continue;
      }
      const waitMs = this.limiter.waitMs();
      if (waitMs <= 0) return true;
      await this.waker.wait(waitMs);
    }
    return false;
  }

  private isOn(link: IncomingLink): boolean {
    return this.link === link && link.maySend('JOURNAL_POINT');
  }
}
