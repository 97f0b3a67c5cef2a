import { type OwnershipAnswer, SternaError, toSternaError } from '../../base/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import type { PostcopyRecord } from './postcopy-record.ts';
import type { PromisedPages } from './promised-pages.ts';
import { type Recovered, recoverLink } from './recovery.ts';

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/**
 * Makes a lost link anew, by itself with growing pauses, or when it is told to. It never gives up:
 * this side has pages that nobody else has. After an answer that another attempt would get again (a
 * refusal, a peer that breaks the protocol) it waits to be told.
 */
export class Reconnection {
  /** How to get to the destination; another way may come with `resume`. */
  connect: Connect | undefined;
  /** Only `resume` goes on. */
  private held = false;
  private readonly promised: PromisedPages;
  /** Answers from which nothing follows: they will be the same the next time. */
  private readonly empty: readonly OwnershipAnswer[];
  private attempt: AbortController | undefined;
  private wake: (() => void) | undefined;

  /** `mayBeAbandoned`: GRANT may never have arrived, and the destination's word for that counts. */
  constructor(connect: Connect | undefined, promised: PromisedPages, mayBeAbandoned = false) {
    this.connect = connect;
    this.promised = promised;
    this.empty = mayBeAbandoned ? ['none'] : ['none', 'abandoned'];
  }

  /** No attempt by itself until `resume`; one that is under way is given up. */
  hold(): void {
    this.held = true;
    this.attempt?.abort();
  }

  /** An attempt now. Whatever was under way is given up for it. */
  resume(connect: Connect | undefined = this.connect): void {
    this.connect = connect;
    this.held = false;
    this.attempt?.abort();
    this.wake?.();
  }

  /** Resolves when the destination has answered. */
  async run(context: OutgoingContext, record: PostcopyRecord): Promise<Recovered> {
    for (let retryMs = RETRY_MS_MIN; ; retryMs = Math.min(2 * retryMs, RETRY_MS_MAX)) {
      context.record.status = 'postcopy-paused';
      context.publish();
      const told = await this.untilDue(context, retryMs);
      if (told) retryMs = RETRY_MS_MIN;
      const found = await this.tryOnce(context, record);
      if (found !== undefined) return found;
    }
  }

  private async tryOnce(
    context: OutgoingContext,
    record: PostcopyRecord,
  ): Promise<Recovered | undefined> {
    const attempt = new AbortController();
    this.attempt = attempt;
    try {
      const found = await recoverLink(context, this.noting(context), attempt.signal, this.promised);
      if (!this.empty.includes(found.answer.outcome)) return found;
      found.context.peer.finish();
      void found.context.channel.end();
      throw new SternaError('E_RECOVERY_REFUSED', 'Destination knows nothing of this migration', {
        detail: { outcome: found.answer.outcome, peer: context.peerName },
      });
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Recovery failed');
      if (error.code !== 'E_CANCELLED') {
        record.paused(context.clock.nowMs(), error);
        if (error.kind === 'peer') this.held = true;
      }
      context.log.info({
        event: 'postcopy.recovery-failed',
        code: error.code,
        error: error.message,
      });
      return undefined;
    } finally {
      this.attempt = undefined;
    }
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

  /** True when it was told to try. */
  private async untilDue(
    { clock, parameters }: OutgoingContext,
    retryMs: number,
  ): Promise<boolean> {
    for (;;) {
      const waking = new AbortController();
      let told = false;
      this.wake = () => {
        told = true;
        waking.abort();
      };
      const byItself = !this.held && this.connect !== undefined && parameters.autoRecover === 'on';
      await clock.sleep(byItself ? retryMs : RETRY_MS_MAX, waking.signal);
      this.wake = undefined;
      if (told || byItself) return told;
    }
  }
}

function noWay(): SternaError {
  return new SternaError('E_CHANNEL_REFUSED', 'There is no other way to the destination');
}
