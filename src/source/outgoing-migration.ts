import {
  type Deferred,
  deferred,
  isOver,
  type MigrationInfo,
  type MigrationParameters,
  SternaError,
  toSternaError,
} from '../base/index.ts';
import { FurtherLink } from './further/further-link.ts';
import { openLinks } from './further/open-links.ts';
import { startLinkTimers } from './link-timers.ts';
import { openContext } from './open-context.ts';
import type { OutgoingContext } from './outgoing-context.ts';
import type { Connect, MigrationOutcome, OutgoingOptions } from './outgoing-contract.ts';
import { ChosenPolicy } from './policy/chosen-policy.ts';
import { missingNeeds } from './policy/policy-table.ts';
import { PostcopyPhase } from './postcopy/postcopy-phase.ts';
import type { Spill } from './postcopy/spill/spill.ts';
import { advisePostcopy, precopy } from './precopy/precopy.ts';
import { prepareCache, resizeCache } from './precopy/prepare-cache.ts';
import { refuseCombination, setUp } from './setup.ts';
import { askForGuest, learnOwner } from './switch/ask.ts';
import { settleFailure, takeOwnership } from './switch/failure.ts';
import { HandOver } from './switch/hand-over.ts';
import {
  noteGuestDowntime,
  proofIncomplete,
  prove,
  refuseMismatch,
  skipVerify,
} from './switch/proof.ts';
import { DowntimeClock, stopAndCopy } from './switch/stop-and-copy.ts';
import { verifyRam } from './switch/verify-sender.ts';

/** One outgoing migration of one machine, told as a story by `run()`. */
export class OutgoingMigration {
  private readonly context: OutgoingContext;
  private readonly handOver: HandOver;
  private readonly parameters: MigrationParameters;
  private readonly policy: ChosenPolicy;
  private readonly connect: Connect | undefined;
  private readonly spill: Spill | undefined;
  private postcopy: PostcopyPhase | undefined;
  private preempt: FurtherLink | undefined;
  private postcopyWanted = false;
  private readonly taken: Deferred<number> = deferred();

  constructor(options: OutgoingOptions) {
    this.context = openContext(options, {
      wantsPostcopy: () => this.postcopyWanted,
      publish: () => options.observer.info(this.info()),
    });
    const { interrupt, log, record, parameters } = this.context;
    this.parameters = parameters;
    this.spill = options.spill;
    this.connect = options.secret === undefined ? undefined : options.connect;
    const enabled = missingNeeds(parameters.policy, options.capabilities);
    const module = options.policyModule;
    this.policy = new ChosenPolicy({ name: parameters.policy, module, enabled, interrupt, log });
    record.policy = this.policy;
    this.handOver = new HandOver(this.context, options.reached);
  }

  /**
   * Never rejects. Afterwards the channel is closed, and the guest runs here, or there, or the
   * error says why nowhere.
   */
  async run(): Promise<MigrationOutcome> {
    const { channel, clock, peer } = this.context;
    const stopTimers = startLinkTimers(this.context, () => this.link);
    channel.start(peer);
    try {
      const link = await this.migrate();
      if (link !== undefined) await prove(link);
    } catch (thrown) {
      return await this.fail(toSternaError(thrown, 'E_CHANNEL_RESET', 'Migration failed'));
    } finally {
      stopTimers();
      this.policy.close();
      await this.postcopy?.spillEnded;
      await this.context.codec.close();
      this.context.record.end(clock.nowMs());
      this.context.publish();
    }
    return { status: 'completed', error: undefined };
  }

  /** The guest goes on at the source. Too late once GRANT may have been sent. */
  cancel(): 'cancelling' | 'too-late' {
    const { record, interrupt } = this.context;
    if (!this.canEnd) return 'too-late';
    record.status = 'cancelling';
    interrupt.raise(new SternaError('E_CANCELLED', 'Migration was cancelled'));
    this.context.publish();
    return 'cancelling';
  }

  /**
   * The guest has ended itself, of which its owner sees to the rest: the migration fails. Once
   * GRANT may have been sent it goes on, and the guest ends where it went.
   */
  guestEnded(): void {
    if (this.canEnd) this.context.interrupt.raise(guestEnded());
  }

  /**
   * The guest is handed over as soon as possible, and its pages follow. Harmless later. Throws
   * E_STATE when the two sides have not agreed on post-copy.
   */
  startPostcopy(): void {
    if (!this.context.capabilities['postcopy-ram']) {
      throw new SternaError('E_STATE', 'Post-copy was not enabled before the migration began');
    }
    this.postcopyWanted = true;
    this.context.interrupt.wake();
  }

  /** Breaks the connection of post-copy; it stays so until `resume`. Throws E_STATE before. */
  pauseLink(): void {
    this.inPostcopy().pause();
  }

  /** Makes a lost connection anew now, by another way if one is given. Throws E_STATE. */
  resume(connect?: Connect): void {
    if (!PAUSED_STATUSES.includes(this.context.record.status)) {
      throw new SternaError('E_STATE', 'There is no paused migration to go on with');
    }
    this.inPostcopy().reconnection.resume(connect);
  }

  /**
   * An operator's word, while there is no link in post-copy: the destination is gone for good. The
   * migration fails, and the guest goes on here from the last point of the journal, or from the
   * switch. Resolves with its new epoch. Rejects with E_STATE, or E_STATE_DIRECTORY when it could
   * not be recorded.
   */
  async takeBack(): Promise<number> {
    if (!PAUSED_STATUSES.includes(this.context.record.status)) {
      throw new SternaError('E_STATE', 'There is no paused migration to take the guest back from');
    }
    const text = 'The guest was taken back by its user';
    this.inPostcopy().reconnection.giveUp(new SternaError('E_TAKEN_BACK', text));
    return this.taken.promise;
  }

  /**
   * After an end with E_OWNERSHIP_UNKNOWN: goes on asking, until the destination has answered or
   * `signal` is raised. What is known of the migration is then what it says.
   */
  async learnOwner(signal: AbortSignal): Promise<void> {
    const { context, handOver, connect, postcopy } = this;
    if (context.record.error?.code !== 'E_OWNERSHIP_UNKNOWN') return;
    const canAsk = connect !== undefined && context.channel.duplex && postcopy === undefined;
    if (canAsk) await learnOwner(context, handOver, connect, signal);
  }

  /** Takes effect at once, also for what waits because of the old values. */
  setParameters(changes: Partial<MigrationParameters>): void {
    const { xbzrleCacheBytes } = this.parameters;
    Object.assign(this.parameters, changes);
    const isPrepared = this.context.record.cacheShape !== undefined;
    if (isPrepared && xbzrleCacheBytes !== this.parameters.xbzrleCacheBytes) {
      resizeCache(this.context);
    }
    const { maxBandwidthBytesPerSecond, maxPostcopyBandwidthBytesPerSecond } = this.parameters;
    const limit =
      this.postcopy === undefined ? maxBandwidthBytesPerSecond : maxPostcopyBandwidthBytesPerSecond;
    this.link.frames.setLimit(limit);
  }

  info(): MigrationInfo {
    const { record, clock } = this.context;
    return record.info(clock.nowMs(), this.postcopy?.sentBytes ?? this.context.sentBytes());
  }

  /** From outside, with the guest at the source. */
  private get canEnd(): boolean {
    const { status } = this.context.record;
    return !this.handOver.isIrrevocable && status !== 'cancelling' && !isOver(status);
  }

  /** The connection that there is now, or was last. */
  private get link(): OutgoingContext {
    return this.postcopy?.link ?? this.context;
  }

  /** Resolves with the connection over which the rest is to be said, if there is one. */
  private async migrate(): Promise<OutgoingContext | undefined> {
    const { context } = this;
    const { record, clock, channel } = context;
    const startMs = clock.nowMs();
    refuseCombination(context);
    prepareCache(context);
    context.publish();
    await setUp(context);
    // While the guest runs here there is no need to do without it.
    if (context.capabilities['postcopy-preempt'] && this.connect !== undefined)
      this.preempt = await FurtherLink.open(context, this.connect, 'preempt');
    context.pageChannels.add(await openLinks(context, this.connect));
    record.setupTimeMs = clock.nowMs() - startMs;
    context.interrupt.throwIfRaised();
    const rest = await this.goBeforeTheSwitch();
    context.interrupt.throwIfRaised();
    const downtime = new DowntimeClock(context);
    const promised = await stopAndCopy(context, downtime, () => this.handOver.prepare(), rest);
    if (promised !== undefined) {
      this.postcopy = new PostcopyPhase(context, promised, this.connect);
      this.postcopy.prepare(this.preempt);
    } else if (this.mustVerifyBeforeGrant(channel.duplex)) {
      await verifyRam(context);
      refuseMismatch(context);
      downtime.mark('verify');
    }
    const isLinked = await this.grant(downtime);
    context.pageChannels.close();
    const link =
      this.postcopy === undefined ? isLinked && context : await this.serve(this.postcopy);
    if (promised === undefined) this.preempt?.destroy();
    record.status = 'completed';
    context.log.info({
      event: 'migration.completed',
      downtimeMs: record.downtimeMs,
      parts: record.downtimeParts,
    });
    context.publish();
    if (link) return link;
    const text = 'The destination has the guest, and the connection for the proof was lost';
    proofIncomplete(context, new SternaError('E_CHANNEL_RESET', text));
    return undefined;
  }

  /** A file is compared when it is loaded, so its hashes must lie before GRANT, its last frame. */
  private mustVerifyBeforeGrant(duplex: boolean): boolean {
    const { verify } = this.parameters;
    return verify === 'strict' || (verify === 'after' && !duplex);
  }

  /** What is done while the guest runs here, and when its last pages are to come. */
  private async goBeforeTheSwitch(): Promise<'now' | 'later'> {
    const { context } = this;
    const { mode } = this.parameters;
    if (mode === 'stop') return 'now';
    if (mode === 'postcopy') {
      await advisePostcopy(context);
      return 'later';
    }
    return (await precopy(context, this.policy)) === 'postcopy' ? 'later' : 'now';
  }

  /** Resolves when the guest is the destination's: true with a connection that can be used. */
  private async grant(downtime: DowntimeClock): Promise<boolean> {
    const { context, handOver, connect, postcopy } = this;
    let isLinked = true;
    try {
      noteGuestDowntime(context);
      await handOver.grant(downtime);
      if (context.channel.duplex) {
        context.record.guestRuns = (await context.peer.resumed.promise).running;
      }
    } catch (thrown) {
      const cause = toSternaError(thrown, 'E_CHANNEL_RESET', 'Link was lost');
      const canAsk = connect !== undefined && context.channel.duplex;
      if (!handOver.isInDoubtAfter(cause) || !canAsk) throw cause;
      this.preempt?.destroy();
      context.peer.finish();
      context.channel.destroy(cause);
      const { running } =
        postcopy === undefined
          ? await askForGuest(context, handOver, connect, cause)
          : await postcopy.askForGuest(handOver, cause, this.spill);
      downtime.mark('grant');
      context.record.guestRuns = running;
      isLinked = false;
    }
    context.record.downtimeMs = downtime.elapsedMs;
    return isLinked;
  }

  private async serve(postcopy: PostcopyPhase): Promise<OutgoingContext | undefined> {
    try {
      return await postcopy.run(this.spill);
    } catch (thrown) {
      // The destination has said so. Without a record of it no operator could go back.
      const isLost = thrown instanceof SternaError && thrown.code === 'E_GUEST_LOST';
      if (isLost) await this.handOver.answered('lost');
      throw thrown;
    }
  }

  private inPostcopy(): PostcopyPhase {
    if (this.postcopy === undefined || isOver(this.context.record.status)) {
      throw new SternaError('E_STATE', 'There is no migration in post-copy');
    }
    return this.postcopy;
  }

  private async fail(cause: SternaError): Promise<MigrationOutcome> {
    const { link, handOver, postcopy } = this;
    const { record, log, peer, channel } = link;
    const phase = record.status;
    const error =
      cause.code === 'E_TAKEN_BACK'
        ? await this.takeOwnership(cause)
        : await settleFailure(link, handOver, cause);
    // Its pages are missing nowhere.
    if (error.guestOwner === 'source') postcopy?.endSpill();
    error.phase ??= phase;
    error.side ??= 'source';
    record.error = error;
    record.status = cause.code === 'E_CANCELLED' ? 'cancelled' : 'failed';
    skipVerify(link, error.message);
    this.preempt?.destroy();
    this.context.pageChannels.destroy();
    peer.finish();
    channel.destroy(cause);
    log.warn({
      event: 'migration.failed',
      code: error.code,
      phase,
      error: error.message,
      guestOwner: error.guestOwner,
      detail: error.detail,
    });
    return { status: record.status, error };
  }

  private async takeOwnership(cause: SternaError): Promise<SternaError> {
    const epoch = await takeOwnership(this.context, this.handOver);
    if (typeof epoch === 'number') {
      this.taken.resolve(epoch);
      cause.guestOwner = 'source';
      return cause;
    }
    this.taken.reject(epoch);
    return this.handOver.unknown(epoch);
  }
}

/** What a migration fails with whose guest is no more. */
export function guestEnded(): SternaError {
  return new SternaError('E_GUEST_ENDED', 'The guest ended itself while it was being migrated');
}

const PAUSED_STATUSES: readonly MigrationInfo['status'][] = [
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
];
