import {
  type MigrationInfo,
  type MigrationParameters,
  type OwnershipAnswer,
  OwnershipKeeper,
  PAGE_BYTES,
  SternaError,
  toSternaError,
} from '../../../base/index.ts';
import { Codec } from '../../codec/codec.ts';
import { startLinkTimers } from '../../link-timers.ts';
import type { OutgoingContext } from '../../outgoing-context.ts';
import type { Connect, MigrationOutcome, OutgoingOptions } from '../../outgoing-contract.ts';
import { openLink } from '../../outgoing-link.ts';
import { OutgoingRecord } from '../../outgoing-record.ts';
import { proofIncomplete, prove, skipVerify } from '../../switch/proof.ts';
import { PostcopyPhase } from '../postcopy-phase.ts';
import { PromisedPages } from '../promised-pages.ts';
import type { Spill } from './spill.ts';
import { unlinkedChannel } from './unlinked-channel.ts';

/** A migration whose source was lost in post-copy, and what is left of it in a new process. */
export interface TakenUpOptions extends Omit<OutgoingOptions, 'channel' | 'connect' | 'secret'> {
  readonly connect: Connect;
  /** That of HELLO: the destination knows the migration by it. */
  readonly secret: string;
  /** The epoch that was handed over. */
  readonly epoch: number;
  /** Dirty and populated in `machine` are the pages that it kept, and they are as they were. */
  readonly spill: Spill;
}

/**
 * Post-copy, gone on with by a process that has only the pages of the spill: it connects by itself,
 * learns what the destination lacks, and serves exactly that. The guest never runs here.
 */
export class TakenUpMigration {
  private readonly options: TakenUpOptions;
  private readonly parameters: MigrationParameters;
  private readonly context: OutgoingContext;
  private readonly promised: PromisedPages;
  private readonly phase: PostcopyPhase;
  private readonly keeper: OwnershipKeeper;

  constructor(options: TakenUpOptions) {
    const { machine, clock, ledger, migrationId, epoch, connect } = options;
    const { uuid } = machine.description;
    this.options = options;
    this.parameters = { ...options.parameters };
    this.promised = new PromisedPages(machine.memory);
    this.context = this.firstContext();
    this.keeper = new OwnershipKeeper({ ledger, uuid, peer: options.peer });
    const { record, peer } = this.context;
    record.status = 'postcopy-paused';
    record.epoch = epoch;
    record.owner = this.keeper.ownership.phase === 'granted' ? 'destination' : 'unknown';
    record.remainingPages = this.promised.count;
    peer.finish();
    const settle = (answer: OwnershipAnswer) => this.settle(answer, { epoch, migrationId });
    this.phase = new PostcopyPhase(this.context, this.promised, connect, { settle });
    record.lastSyncMs = clock.nowMs();
  }

  /** Never rejects. The guest is where it was, whole, or the error says why nowhere. */
  async run(): Promise<MigrationOutcome> {
    const { record, clock, log, publish } = this.context;
    const stopTimers = startLinkTimers(this.context, () => this.phase.link);
    log.info({ event: 'postcopy.taken-up', pages: this.promised.count, epoch: record.epoch });
    try {
      const link = await this.phase.runTakenUp(this.options.spill);
      record.status = 'completed';
      publish();
      if (link === undefined) proofIncomplete(this.context, withoutLink());
      else await prove(link, this.promised);
    } catch (thrown) {
      return this.fail(toSternaError(thrown, 'E_CHANNEL_RESET', 'Migration failed'));
    } finally {
      stopTimers();
      await this.phase.spillEnded;
      record.end(clock.nowMs());
      publish();
    }
    return { status: 'completed', error: undefined };
  }

  /** The guest was handed over long ago. */
  cancel(): 'too-late' {
    return 'too-late';
  }

  /** It is in post-copy already. */
  startPostcopy(): void {
    // Harmless, as in any migration.
  }

  /** Breaks the connection; it stays so until `resume`. Throws E_STATE when all is over. */
  pauseLink(): void {
    this.refuseWhenOver();
    this.phase.pause();
  }

  /** Makes a connection now, by another way if one is given. Throws E_STATE when all is over. */
  resume(connect?: Connect): void {
    this.refuseWhenOver();
    this.phase.reconnection.resume(connect);
  }

  /** Takes effect at once. */
  setParameters(changes: Partial<MigrationParameters>): void {
    Object.assign(this.parameters, changes);
    this.phase.link.frames.setLimit(this.parameters.maxPostcopyBandwidthBytesPerSecond);
  }

  info(): MigrationInfo {
    const { record, clock } = this.context;
    return record.info(clock.nowMs(), this.phase.link.sentBytes());
  }

  private firstContext(): OutgoingContext {
    const { machine, clock, ledger, migrationId, peer, secret, epoch, observer } = this.options;
    const { uuid } = machine.description;
    const channel = unlinkedChannel(peer);
    // What the lost process had agreed on with the destination is not known here.
    const codec = new Codec(clock, 'none');
    return {
      ...openLink(channel, { clock, machine, parameters: this.parameters, codec }),
      codec,
      ...{ machine, clock, ledger, migrationId, secret },
      journal: undefined,
      log: this.options.log.child({ uuid, migrationId }),
      peerName: peer,
      record: new OutgoingRecord({
        migrationId,
        mode: 'postcopy',
        epoch: epoch - 1,
        totalBytes: machine.memory.pageCount * PAGE_BYTES,
        startMs: clock.nowMs(),
      }),
      parameters: this.parameters,
      capabilities: { ...this.options.capabilities, 'postcopy-ram': true },
      reached: this.options.reached ?? (() => {}),
      wantsPostcopy: () => true,
      publish: () => observer.info(this.info()),
    };
  }

  /** What the destination says settles a record that says `granting`. */
  private async settle(
    answer: OwnershipAnswer,
    name: { readonly epoch: number; readonly migrationId: string },
  ): Promise<void> {
    const { record, log, peerName } = this.context;
    const { ownership } = await this.keeper.handle({ type: 'answered', answer, ...name });
    log.info({ event: 'ownership.answered', answer, phase: ownership.phase });
    if (answer !== 'abandoned') {
      record.owner = 'destination';
      return;
    }
    const text = 'GRANT never arrived, and the process that had all of the RAM is gone';
    throw new SternaError('E_GUEST_LOST', text, {
      guestOwner: 'none',
      detail: { peer: peerName, epoch: name.epoch },
    });
  }

  private fail(error: SternaError): MigrationOutcome {
    const { record, log } = this.context;
    const { peer, channel } = this.phase.link;
    error.guestOwner ??= 'unknown';
    error.phase ??= record.status;
    error.side ??= 'source';
    record.owner = error.guestOwner;
    record.error = error;
    record.status = 'failed';
    skipVerify(this.context, error.message);
    peer.finish();
    channel.destroy(error);
    const { code, message, guestOwner, phase } = error;
    log.warn({ event: 'migration.failed', code, error: message, phase, guestOwner });
    return { status: 'failed', error };
  }

  private refuseWhenOver(): void {
    const { status } = this.context.record;
    if (status !== 'completed' && status !== 'failed') return;
    throw new SternaError('E_STATE', 'There is no migration in post-copy');
  }
}

function withoutLink(): SternaError {
  const text = 'The destination has the guest, and the connection for the proof was lost';
  return new SternaError('E_CHANNEL_RESET', text);
}
