import { type OwnershipAnswer, SternaError, toSternaError } from '../../base/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import type { PostcopyRecord } from './postcopy-record.ts';
import type { PromisedPages } from './promised-pages.ts';
import { type Recovered, recoverLink } from './recovery.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** Damage on the way looks like a peer that breaks the protocol; one that does it again is one. */
const PEER_FAILURES_MAX = 3;

/**
 * Makes a lost link anew, by itself with growing pauses, or when it is told to. It never gives up:
 * this side has pages that nobody else has. After an answer that another attempt would get again (a
 * refusal, a peer that breaks the protocol time after time) it waits to be told.
 */
export class Reconnection {
  /** How to get to the destination; another way may come with `resume`. */
  connect: Connect | undefined;
  /** Only `resume` goes on. */
  private held = false;
  /** Since a user last said `resume`. */
  private peerFailures = 0;
  /**
   * GRANT may never have arrived: the destination's word for that counts. Nobody may be running the
   * guest, so it is asked whatever `x-auto-recover` says.
   */
  isInDoubt = false;
  private readonly promised: PromisedPages;
  /** What is under way: an attempt, or the wait for the next one. */
  private step = new AbortController();
  /** Told to try, and that was not done yet: an attempt may have been under way. */
  private isTold = false;
  /** Why nothing more is tried. */
  private givenUp: SternaError | undefined;

  constructor(connect: Connect | undefined, promised: PromisedPages) {
    this.connect = connect;
    this.promised = promised;
  }

  /** No attempt by itself until `resume`; one that is under way is given up. */
  hold(): void {
    this.held = true;
    this.step.abort();
  }

  /** No attempt any more: `run` rejects with `error`. */
  giveUp(error: SternaError): void {
    this.givenUp = error;
    this.step.abort();
  }

  /** An attempt now. Whatever was under way is given up for it. */
  resume(connect: Connect | undefined = this.connect): void {
    this.connect = connect;
    this.held = false;
    this.peerFailures = 0;
    this.isTold = true;
    this.step.abort();
  }

  /** Resolves when the destination has answered. Rejects only when it was given up. */
  async run(context: OutgoingContext, record: PostcopyRecord): Promise<Recovered> {
    if (record.outages.error !== undefined) this.judge(record.outages.error);
    // Nobody waits for what was told while there was a link.
    this.isTold = false;
    for (let retryMs = RETRY_MS_MIN; ; retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
      context.record.status = 'postcopy-paused';
      context.publish();
      if (await this.untilDue(context, record, retryMs)) retryMs = RETRY_MS_MIN;
      if (this.givenUp !== undefined) throw this.givenUp;
      const found = await this.tryOnce(context, record);
      if (found === undefined) continue;
      if (this.givenUp === undefined) return found;
      found.context.peer.finish();
      found.context.channel.destroy(this.givenUp);
    }
  }

  private async tryOnce(
    context: OutgoingContext,
    record: PostcopyRecord,
  ): Promise<Recovered | undefined> {
    this.step = new AbortController();
    try {
      const found = await recoverLink(context, this.noting(context), this.step.signal, {
        promised: this.promised,
      });
      if (!this.isEmpty(found.answer.outcome)) return found;
      found.context.peer.finish();
      void found.context.channel.end();
      throw new SternaError('E_RECOVERY_REFUSED', 'Destination knows nothing of this migration', {
        detail: { outcome: found.answer.outcome, peer: context.peerName },
      });
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Recovery failed');
      if (error.code !== 'E_CANCELLED') {
        record.outages.lost(context.clock.nowMs(), error);
        this.judge(error);
      }
      context.log.info({
        event: 'postcopy.recovery-failed',
        code: error.code,
        error: error.message,
      });
      return undefined;
    }
  }

  /** Nothing follows from it: it will be the same the next time. */
  private isEmpty(answer: OwnershipAnswer): boolean {
    return answer === 'none' || (answer === 'abandoned' && !this.isInDoubt);
  }

  private judge({ code, kind }: SternaError): void {
    if (code === 'E_RECOVERY_REFUSED') this.held = true;
    // It says itself that it may be asked again.
    if (kind !== 'peer' || code === 'E_BUSY') return;
    this.peerFailures += 1;
    if (this.peerFailures >= PEER_FAILURES_MAX) this.held = true;
  }

  /** The statuses of an attempt, as QEMU has them. */
  private noting(context: OutgoingContext): Connect {
    return async (signal) => {
      const { record, publish } = context;
      record.status = 'postcopy-recover-setup';
      publish();
      const channel = await this.connect?.(signal);
      if (channel === undefined) throw noWay();
      record.status = 'postcopy-recover';
      publish();
      return channel;
    };
  }

  /** True when it was told to try. Returns at once when nothing more is to be tried. */
  private async untilDue(
    { clock, parameters }: OutgoingContext,
    record: PostcopyRecord,
    retryMs: number,
  ): Promise<boolean> {
    let isDue = false;
    while (!isDue && !this.isTold && this.givenUp === undefined) {
      this.step = new AbortController();
      const byItself = parameters.autoRecover === 'on' || this.isInDoubt;
      isDue = byItself && !this.held && this.connect !== undefined;
      record.waitsForResume = !isDue;
      await clock.sleep(isDue ? retryMs : RETRY_MS_MAX, this.step.signal);
      // Held back meanwhile.
      if (this.held) isDue = false;
    }
    record.waitsForResume = false;
    const { isTold } = this;
    this.isTold = false;
    return isTold;
  }
}

function noWay(): SternaError {
  return new SternaError('E_CHANNEL_REFUSED', 'There is no other way to the destination');
}
