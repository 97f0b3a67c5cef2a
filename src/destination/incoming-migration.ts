import { type MigrationInfo, SternaError } from '../base/index.ts';
import {
  decodeJoin,
  decodeProbe,
  encodeRecovery,
  type FrameHeader,
  type JoinBody,
  type MessageName,
} from '../protocol/index.ts';
import { sayFarewell } from './farewell.ts';
import { FurtherLinks } from './further/further-links.ts';
import type { IncomingOptions, IncomingOutcome, JoinTarget } from './incoming-contract.ts';
import { IncomingLink, type LinkOwner } from './incoming-link.ts';
import { IncomingRecord } from './incoming-record.ts';
import { MessageHandlers } from './message-handlers.ts';
import { checkJoin, checkJoinByName } from './ownership/join-check.ts';
import { answerByRecord } from './ownership/ownership-answer.ts';
import { TakeOver } from './ownership/take-over.ts';
import { ProbeReceiver } from './probe/probe-receiver.ts';

const PUBLISH_MS = 50;
const ALIVE_CHECK_MS = 100;
/**
 * A stranger that connects and says nothing is dropped after this long, or the stall timeout if
 * that is shorter.
 */
const HELLO_LIMIT_MS = 10_000;

/**
 * One incoming migration. Frames drive it: `incoming-link.ts` holds what comes against the
 * conversation, `message-handlers.ts` tells what each message does, and this is its life: what
 * happens when it ends, fails, or loses its connection while the guest runs here already.
 */
export class IncomingMigration implements LinkOwner, JoinTarget {
  private readonly options: IncomingOptions;
  private readonly record: IncomingRecord;
  private readonly takeOver: TakeOver;
  private readonly handlers: MessageHandlers;
  private readonly startMs: number;
  private link: IncomingLink;
  private readonly further: FurtherLinks;
  private isPublishing = false;
  /** This connection began with JOIN: it belongs to another migration, or to none. */
  private hasAsked = false;
  /** A user has the guest run at the source. */
  private hasYielded = false;
  private settle: ((outcome: IncomingOutcome) => void) | undefined;
  /** Why this migration is being undone. */
  private failure: SternaError | undefined;

  constructor(options: IncomingOptions) {
    const { clock, ledger, channel } = options;
    this.options = options;
    this.startMs = clock.nowMs();
    this.link = new IncomingLink(channel, this);
    this.record = new IncomingRecord(this.startMs);
    this.further = new FurtherLinks(this.record);
    this.takeOver = new TakeOver(ledger, clock, channel.name, options.reached, () => {
      // From its next safepoint on; nothing has to wait for that.
      void this.handlers.machine?.pause('ownership').catch(() => {});
    });
    this.handlers = new MessageHandlers(options, this.record, this.takeOver, {
      link: () => this.link,
      hasSecondLink: () => this.further.hasSecond,
      publish: () => this.publishSoon(),
    });
  }

  /**
   * Never rejects. On failure everything that was built is gone, and the next migration can come.
   */
  run(): Promise<IncomingOutcome> {
    const { clock } = this.options;
    const stopPublishing = clock.every(PUBLISH_MS, () => this.publish());
    const stopChecking = clock.every(ALIVE_CHECK_MS, () => this.checkAlive());
    return new Promise((resolve) => {
      this.settle = (outcome) => {
        this.settle = undefined;
        stopPublishing();
        stopChecking();
        this.record.end(clock.nowMs());
        this.publish();
        resolve(outcome);
      };
      this.link.channel.start(this.link);
    });
  }

  info(): MigrationInfo {
    const nowMs = this.options.clock.nowMs();
    return this.record.info(nowMs, this.record.receivedBytes(this.link));
  }

  /** Breaks the connection of post-copy; the source may come again. Throws E_STATE. */
  pauseLink(): void {
    if (!this.isInPostcopy) throw new SternaError('E_STATE', 'There is no migration in post-copy');
    this.loseLink(new SternaError('E_CHANNEL_RESET', 'Migration was paused by its user'));
  }

  /** The guest goes on at the source, which is told. Too late once GRANT has come. */
  cancel(): 'cancelling' | 'too-late' {
    if (this.handlers.isGranted) return 'too-late';
    if (this.settle !== undefined && this.failure === undefined) {
      this.fail(new SternaError('E_CANCELLED', 'Migration was cancelled at the destination'));
    }
    return 'cancelling';
  }

  async attach(join: JoinBody, link: IncomingLink): Promise<void> {
    checkJoin(join, this.handlers.hello, this.takeOver.epoch);
    if (join.role !== 'recover') return this.attachFurther(join.role, link);
    const { epoch, migrationId, claimedEpoch } = join;
    const outcome = await this.takeOver.answer({ epoch, migrationId, claimedEpoch });
    this.options.reached?.('destination.recover-asked');
    if (outcome === undefined) {
      throw new SternaError('E_BUSY', 'Destination cannot tell now who owns the guest');
    }
    // GRANT may just have come over the old connection: what it does here comes first.
    await this.link.busy?.catch(() => {});
    const continues = outcome === 'owner' && this.isInPostcopy;
    const running = this.handlers.machine?.pauseReasons().length === 0;
    // The old connection may look whole from here: whoever knows the secret knows better.
    if (continues) this.loseLink(new SternaError('E_CHANNEL_RESET', 'Source came again'));
    link.give(this);
    link.send('RECOVERY', encodeRecovery({ outcome, epoch, continues, running }));
    this.options.reached?.('destination.recover-answered');
    if (continues) this.takeUp(link, join.journal ?? true);
    else this.conclude(link, outcome);
  }

  placePages(link: IncomingLink, header: FrameHeader): Uint8Array | SternaError {
    return this.handlers.placePages(link, header);
  }

  handle(
    link: IncomingLink,
    name: MessageName,
    header: FrameHeader,
    body: Uint8Array,
  ): Promise<void> | undefined {
    if (name === 'JOIN') return this.join(link, body);
    if (name === 'PROBE') return this.probe(link, body);
    if (name === 'ERROR' || name === 'CANCEL') {
      this.failed(link, this.handlers.farewell(name, body));
      return undefined;
    }
    if (name === 'GOODBYE') {
      if (link === this.link) this.finish();
      return undefined;
    }
    return this.handlers.handle(link, name, header, body);
  }

  failed(link: IncomingLink, error: SternaError): void {
    if (!this.isOurs(link) || this.settle === undefined || this.failure !== undefined) return;
    if (this.isInPostcopy) this.loseLink(error);
    else this.fail(error);
  }

  closed(link: IncomingLink, error: SternaError | undefined): void {
    if (!this.isOurs(link) || this.settle === undefined || this.failure !== undefined) return;
    const text = 'Source closed the connection before the end';
    const failure = error ?? new SternaError('E_PROTOCOL_TRUNCATED', text);
    // Whether pages were under way on it only the source knows, which breaks the other then.
    if (link !== this.link && !this.further.closed(link, this.link, error)) return;
    if (this.isInPostcopy) return this.loseLink(failure);
    if (this.record.status === 'completed') return this.finish();
    this.fail(failure);
  }

  supposed(_link: IncomingLink, name: MessageName): void {
    // GRANT is the last frame of a file.
    if (name === 'RESUMED') this.finish();
  }

  /** The guest is this side's, and pages are missing: no loss of a connection ends that. */
  private get isInPostcopy(): boolean {
    return !this.hasYielded && this.record.status.startsWith('postcopy-');
  }

  private isOurs(link: IncomingLink): boolean {
    return link === this.link || this.further.includes(link);
  }

  private async join(link: IncomingLink, body: Uint8Array): Promise<void> {
    const decoded = decodeJoin(body);
    if (decoded.kind === 'malformed') throw decoded.error;
    const join = decoded.body;
    this.hasAsked = true;
    const target = this.options.joining?.find(join.migrationId);
    if (target !== undefined) await target.attach(join, link);
    else await this.answerByRecord(link, join);
    this.settle?.({ status: 'joined' });
  }

  /** What comes from now on is no migration, and concerns no guest. */
  private probe(link: IncomingLink, body: Uint8Array): undefined {
    const { clock, log, probing, channel } = this.options;
    const decoded = decodeProbe(body);
    if (decoded.kind === 'malformed') throw decoded.error;
    if (probing === undefined || !channel.duplex) {
      throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'No link is measured here');
    }
    const receiver = new ProbeReceiver({ clock, log, link });
    const refused = probing.admit(receiver);
    if (refused === undefined) receiver.begin(decoded.body);
    else receiver.refuse(refused);
    this.settle?.({ status: 'joined' });
    return undefined;
  }

  /** No migration of that name is under way: what is known of it is on disk. */
  private async answerByRecord(link: IncomingLink, join: JoinBody): Promise<void> {
    const { ledger, channel, joining } = this.options;
    const { uuid, epoch, migrationId, claimedEpoch } = join;
    checkJoinByName(join);
    const isHere = joining?.isHere(uuid) ?? false;
    const pause = () => joining?.pause(uuid);
    const yielded = () => joining?.yielded(uuid);
    const mayYield = () => joining?.mayYield(uuid) ?? true;
    const side = { ledger, uuid, peer: channel.name, isHere, mayYield, pause, yielded };
    const outcome = await answerByRecord(side, { epoch, migrationId, claimedEpoch });
    if (outcome === undefined) {
      throw new SternaError('E_BUSY', 'Destination cannot tell now who owns the guest');
    }
    const body = { outcome, epoch, continues: false, running: isHere && outcome === 'owner' };
    link.send('RECOVERY', encodeRecovery(body));
    void channel.end();
  }

  private attachFurther(role: 'preempt' | 'multifd', link: IncomingLink): void {
    if (role === 'preempt') this.further.attachSecond(link);
    else this.further.attachMultifd(link, this.link, this.handlers.hello);
    link.give(this);
  }

  private takeUp(link: IncomingLink, takesJournal: boolean): void {
    const { record, options } = this;
    this.link = link;
    record.status = 'postcopy-recover';
    this.publish();
    record.postcopy?.outages.recovered(options.clock.nowMs());
    this.handlers.postcopy?.relink(link, takesJournal);
    record.status = 'postcopy-active';
    options.log.info({ event: 'postcopy.recovered', peer: link.channel.name });
    this.publish();
  }

  /** The source has its answer; nothing follows on the connection that asked. */
  private conclude(link: IncomingLink, outcome: string): void {
    void link.channel.end();
    link.deafen();
    if (this.settle === undefined) return;
    if (outcome === 'abandoned') {
      this.fail(new SternaError('E_CHANNEL_RESET', 'Source took the guest back'));
    } else if (outcome === 'moved' && this.isInPostcopy) {
      // It is not this side's any more, so nothing waits for the source to come again.
      this.hasYielded = true;
      const text = 'The user of the source has the guest run there';
      this.fail(new SternaError('E_TAKEN_BACK', text));
    } else if (outcome === 'moved' && this.record.status === 'completed') {
      // Whole, and not this side's any more: there is nothing left to prove.
      this.hasYielded = true;
      this.finish();
    }
  }

  /** The guest goes on, but for vCPUs that wait for pages, until the source comes again. */
  private loseLink(error: SternaError): void {
    const { record, options } = this;
    const { clock, log } = options;
    if (record.status === 'postcopy-paused') return;
    record.status = 'postcopy-paused';
    record.postcopy?.outages.lost(clock.nowMs(), error);
    record.leave(this.link);
    this.handlers.postcopy?.unlink();
    log.warn({ event: 'postcopy.paused', code: error.code, error: error.message });
    void this.leave(this.link, error);
    this.further.leave((link) => void this.leave(link, error));
    this.publish();
  }

  private leave(link: IncomingLink, error: SternaError): Promise<void> {
    link.deafen();
    error.guestOwner ??= 'destination';
    error.side ??= 'destination';
    return sayFarewell(link.channel, this.options.clock, error);
  }

  private finish(): void {
    const { settle, handlers } = this;
    const { machine } = handlers;
    if (settle === undefined || machine === undefined) return;
    this.settle = undefined;
    const { verify } = this.record;
    if (verify.status === 'pending' || verify.status === 'running') {
      this.record.verify = { ...verify, status: 'skipped', reason: 'the source did not finish it' };
    }
    // A proof that was given up must not go on with a part of the hashes.
    this.link.deafen();
    this.link.channel.end().catch(() => {});
    this.further.end();
    // Its journal may be between two steps, and whoever gets the machine flips its logs.
    const { hasYielded } = this;
    void handlers.stop().then(() => settle({ status: 'completed', machine, hasYielded }));
  }

  private checkAlive(): void {
    const { clock, stallTimeoutMs } = this.options;
    const { channel, busy, state } = this.link;
    this.record.postcopy?.sample(clock.nowMs());
    if (this.settle === undefined || !channel.duplex || busy !== undefined) return;
    if (this.record.status === 'postcopy-paused') return;
    const greeted = state !== 'connected';
    const silentMs = clock.nowMs() - (greeted ? channel.lastReceivedMs : this.startMs);
    const limitMs = greeted
      ? this.handlers.stallTimeoutMs(stallTimeoutMs)
      : Math.min(HELLO_LIMIT_MS, stallTimeoutMs);
    if (silentMs <= limitMs) return;
    if (this.record.status === 'completed') return this.finish();
    this.failed(
      this.link,
      new SternaError('E_CHANNEL_TIMEOUT', 'Source fell silent', { detail: { silentMs, limitMs } }),
    );
  }

  private fail(error: SternaError): void {
    if (this.record.status === 'completed') return this.finishWithout(error);
    error.phase ??= this.link.state;
    error.side ??= 'destination';
    this.failure = error;
    const { busy } = this.link;
    this.handlers.giveUp(error);
    this.link.deafen();
    void this.cleanUp(error, busy);
  }

  /** The guest runs here. What failed is the proof, not the migration. */
  private finishWithout(error: SternaError): void {
    this.options.log.warn({
      event: 'migration.proof-incomplete',
      code: error.code,
      error: error.message,
    });
    this.finish();
  }

  private async cleanUp(error: SternaError, busy: Promise<void> | undefined): Promise<void> {
    const { clock, log } = this.options;
    // A handler that still waits may be building the machine that has to go.
    await busy?.catch(() => {});
    // Or it was recording that the guest is this side's, which no failure of the link undoes.
    if (this.record.status === 'completed') return this.finishWithout(error);
    if (this.isInPostcopy) {
      this.failure = undefined;
      return this.loseLink(error);
    }
    const owner = await this.handlers.undo();
    // A connection that only asked tells of no owner but in RECOVERY: the record is not undone.
    error.guestOwner = this.hasAsked ? 'unknown' : owner;
    this.record.owner = error.guestOwner;
    this.record.error = error;
    this.record.status = error.code === 'E_CANCELLED' ? 'cancelled' : 'failed';
    log.warn({
      event: 'migration.failed',
      code: error.code,
      error: error.message,
      phase: error.phase,
      detail: error.detail,
      guestOwner: error.guestOwner,
    });
    await sayFarewell(this.link.channel, clock, error);
    this.further.leave((link) => link.drop(error));
    this.settle?.({ status: this.record.status === 'cancelled' ? 'cancelled' : 'failed', error });
  }

  /** Behind the answers to what has come: the source, and in the pause the guest, wait for them. */
  private publishSoon(): void {
    if (this.isPublishing) return;
    this.isPublishing = true;
    void this.options.clock.yieldToLoop().then(() => {
      this.isPublishing = false;
      this.publish();
    });
  }

  private publish(): void {
    this.options.observer.info(this.info());
  }
}
