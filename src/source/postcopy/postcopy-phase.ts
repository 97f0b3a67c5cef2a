import { type OwnershipAnswer, SternaError, toSternaError } from '../../base/index.ts';
import { encodePostcopyEnd, type RecoveryBody } from '../../protocol/index.ts';
import { FurtherLink } from '../further/further-link.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { answered } from '../setup.ts';
import { lostGuest } from '../switch/ask.ts';
import type { HandOver } from '../switch/hand-over.ts';
import { noteGuestDowntime } from '../switch/proof.ts';
import { linkJournal } from './journal/open-journal.ts';
import { PageRequests } from './page-requests.ts';
import { PostcopyRecord } from './postcopy-record.ts';
import type { PromisedPages } from './promised-pages.ts';
import { PushOrder } from './push-order.ts';
import { Reconnection } from './reconnection.ts';
import { PageSpill } from './spill/page-spill.ts';
import type { Spill } from './spill/spill.ts';

/** The last pages are under way when POSTCOPY_END goes out. */
const ALL_RECEIVED_LIMIT_MS = 60_000;

/** What becomes of a phase that begins without a connection, in a new process. */
export interface TakenUpPhase {
  /** Notes whose the guest is by the destination's word. Throws when there is none any more. */
  readonly settle: (answer: OwnershipAnswer) => Promise<void>;
}

/**
 * The guest runs at the destination, and its pages follow: those that a vCPU waits for at once, all
 * others in between. A link that is lost is made anew, as often as it takes: nothing that this side
 * has is given up before the destination says that it has everything.
 */
export class PostcopyPhase {
  readonly reconnection: Reconnection;
  private readonly promised: PromisedPages;
  private readonly order: PushOrder;
  private readonly record: PostcopyRecord;
  private readonly takenUp: TakenUpPhase | undefined;
  private context: OutgoingContext;
  private preempt: FurtherLink | undefined;
  /** A second connection is being made. */
  private opening: AbortController | undefined;
  /** On second connections that are gone. */
  private lostPreemptBytes = 0;
  /** The destination has everything, and there is no connection to say more. */
  private isOver = false;
  /** Settles when nothing is left of the spill: before the process may end. */
  spillEnded: Promise<void> | undefined;

  /** `connect`: undefined where there is no other way to the destination. */
  constructor(
    context: OutgoingContext,
    promised: PromisedPages,
    connect: Connect | undefined,
    takenUp?: TakenUpPhase,
  ) {
    this.context = context;
    this.promised = promised;
    this.order = new PushOrder(context.machine.memory, context.parameters.postcopyOrder);
    this.record = new PostcopyRecord(promised.count, context.journal);
    context.record.postcopy = this.record;
    this.reconnection = new Reconnection(connect, promised);
    this.reconnection.isInDoubt = takenUp !== undefined;
    this.takenUp = takenUp;
  }

  /**
   * Called before GRANT is sent: requests may come right behind its answer. From here on `preempt`
   * is this phase's.
   */
  prepare(preempt: FurtherLink | undefined): void {
    this.preempt = preempt;
    linkJournal(this.context);
    this.serveRequests();
  }

  /** Breaks the link on purpose; it stays so until `resume`. */
  pause(): void {
    const error = new SternaError('E_CHANNEL_RESET', 'Migration was paused by its user');
    this.reconnection.hold();
    this.context.interrupt.raise(error);
  }

  /**
   * GRANT may have arrived, and the link is lost: the guest may run there, with pages missing that
   * nobody else has. Asks until there is an answer, as after any loss of the link. Resolves when
   * the guest is the destination's. Throws `cause` when it goes on here.
   */
  async askForGuest(handOver: HandOver, cause: SternaError, spill?: Spill): Promise<RecoveryBody> {
    this.beginSpill(spill);
    this.reconnection.isInDoubt = true;
    return this.recover(cause, async (answer) => {
      const owner = await handOver.answered(answer);
      if (owner === 'source') throw cause;
    });
  }

  /**
   * Resolves with the connection over which the destination has said that it has every page, or
   * undefined when it said so without one. Missing pages go to the `spill` as well. Rejects only
   * when the guest is known to be lost.
   */
  async run(spill?: Spill): Promise<OutgoingContext | undefined> {
    this.beginSpill(spill);
    return this.untilOver();
  }

  /** The same in a new process, which has only the pages that its `spill` kept. */
  async runTakenUp(spill: Spill): Promise<OutgoingContext | undefined> {
    this.record.spill = PageSpill.found(spill);
    const cause = new SternaError('E_CHANNEL_RESET', 'Source was started again');
    await this.recover(cause, this.takenUp?.settle);
    return this.untilOver();
  }

  /** No page is missing any more, or the guest is not there. Nothing of the guest waits for it. */
  endSpill(): void {
    this.spillEnded ??= this.record.spill?.end(this.context);
  }

  private async untilOver(): Promise<OutgoingContext | undefined> {
    while (!this.isOver) {
      try {
        await this.serve();
        return this.context;
      } catch (thrown) {
        const cause = toSternaError(thrown, 'E_CHANNEL_RESET', 'Link was lost');
        await this.recover(cause, this.takenUp?.settle);
      }
    }
    return undefined;
  }

  /** On all connections of the migration so far. */
  get sentBytes(): number {
    const { lostPreemptBytes, preempt, context } = this;
    return context.sentBytes() + lostPreemptBytes + (preempt?.channel.sentBytes ?? 0);
  }

  /** The connection that there is now, or was last. */
  get link(): OutgoingContext {
    return this.context;
  }

  private beginSpill(spill: Spill | undefined): void {
    if (this.isOver) return;
    this.record.spill ??= PageSpill.begin(this.context, this.promised, spill);
  }

  private async serve(): Promise<void> {
    const { context, record, order } = this;
    const { frames, missingSender, parameters } = context;
    context.record.status = 'postcopy-active';
    record.started(context.clock.nowMs());
    context.publish();
    void this.openPreempt(context);
    frames.beginPush(parameters.maxPostcopyBandwidthBytesPerSecond);
    const totals = context.record.pushTotals();
    while (record.remainingPages > 0) {
      const block = order.nextBlock();
      // Whatever is missing is in one of the blocks; requests may have taken the rest meanwhile.
      if (block === undefined) break;
      const pages = await missingSender.push(block, totals, (max) =>
        order.nextBlock() === block ? order.take(max) : 0,
      );
      record.remainingPages -= pages;
      record.sentPages += pages;
      if (pages > 0) context.reached('source.postcopy-page-sent');
    }
    await this.conclude();
  }

  private async conclude(): Promise<void> {
    const { context, record } = this;
    const { peer } = context;
    await peer.send('POSTCOPY_END', encodePostcopyEnd({ pages: record.sentPages }));
    context.reached('source.postcopy-end-sent');
    await answered(context, ALL_RECEIVED_LIMIT_MS, 'ALL_RECEIVED', () => peer.state !== 'draining');
    const answer = await peer.allReceived.promise;
    await context.journal?.settled;
    context.journal?.end();
    record.ended(context.clock.nowMs(), answer, this.sentBytes);
    this.endSpill();
    await this.preempt?.close().catch(() => {});
    this.leavePreempt();
  }

  /** `settle` throws when there is no guest at the destination that needs pages. */
  private async recover(
    cause: SternaError,
    settle?: (answer: OwnershipAnswer) => Promise<void>,
  ): Promise<RecoveryBody> {
    const { context, record } = this;
    const { clock, log } = context;
    this.preempt?.destroy();
    this.leavePreempt();
    this.leave(cause);
    record.outages.lost(clock.nowMs(), cause);
    log.warn({ event: 'postcopy.paused', code: cause.code, error: cause.message });
    const { context: next, answer } = await this.reconnection.run(context, record);
    this.context = next;
    this.reconnection.isInDoubt = false;
    await settle?.(answer.outcome);
    if (answer.outcome === 'lost') throw lostGuest(context, cause);
    if (!answer.continues) {
      this.end();
      return answer;
    }
    record.outages.recovered(clock.nowMs());
    log.info({ event: 'postcopy.recovered', recoveries: record.outages.count });
    this.takeUp();
    return answer;
  }

  private end(): void {
    const { peer, channel } = this.context;
    this.isOver = true;
    this.record.remainingPages = 0;
    peer.finish();
    void channel.end();
    this.endSpill();
  }

  private leavePreempt(): void {
    this.opening?.abort();
    this.opening = undefined;
    this.lostPreemptBytes += this.preempt?.channel.sentBytes ?? 0;
    this.preempt = undefined;
  }

  /** The peer may be there still: it learns why. */
  private leave(cause: SternaError): void {
    const { peer, channel } = this.context;
    peer.finish();
    channel.destroy(cause);
  }

  private takeUp(): void {
    const { context, record, order } = this;
    record.remainingPages = context.machine.memory.blocks.reduce(
      (pages, block) => pages + block.countDirty(),
      0,
    );
    order.restart();
    noteGuestDowntime(context);
    this.serveRequests();
  }

  private serveRequests(): void {
    const { context, promised, order, record } = this;
    const requests = new PageRequests({
      context,
      promised,
      order,
      record,
      channel: () => this.preempt?.channel ?? context.channel,
    });
    context.peer.serveRequests((body) => requests.serve(body));
  }

  /**
   * Beside the push: until there is one, and when there can be none, requested pages go the way of
   * all others. Never rejects.
   */
  private async openPreempt(context: OutgoingContext): Promise<void> {
    const { connect } = this.reconnection;
    const isWanted = context.capabilities['postcopy-preempt'] && connect !== undefined;
    if (!isWanted || this.preempt !== undefined) return;
    const opening = new AbortController();
    this.opening = opening;
    try {
      const preempt = await FurtherLink.open(context, connect, 'preempt', opening);
      if (this.opening !== opening) return preempt.destroy();
      this.preempt = preempt;
      this.record.preemptError = undefined;
    } catch (thrown) {
      // All of the link is lost, or nobody needs it any more.
      if (this.opening !== opening || context.interrupt.error !== undefined) return;
      const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'No second connection');
      this.noteSingle(context, error);
    } finally {
      if (this.opening === opening) this.opening = undefined;
    }
  }

  private noteSingle({ log, publish }: OutgoingContext, error: SternaError): void {
    const isNew = this.record.preemptError === undefined;
    this.record.preemptError = error;
    if (isNew)
      log.warn({ event: 'postcopy.not-preempted', code: error.code, error: error.message });
    publish();
  }
}
