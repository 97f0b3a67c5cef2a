import {
  type MigrationInfo,
  type MigrationParameters,
  PAGE_BYTES,
  SternaError,
  toSternaError,
} from '../base/index.ts';
import { encodeCancel, encodeError, encodeGoodbye, errorBodyFrom } from '../protocol/index.ts';
import { HandOver } from './hand-over.ts';
import { Interrupt } from './interrupt.ts';
import { LinkMeter } from './link-meter.ts';
import type { OutgoingContext } from './outgoing-context.ts';
import type { MigrationOutcome, OutgoingOptions } from './outgoing-contract.ts';
import { OutgoingRecord } from './outgoing-record.ts';
import { PageSender } from './page-sender.ts';
import { Peer } from './peer.ts';
import { precopy } from './precopy.ts';
import { setUp } from './setup.ts';
import { DowntimeClock, stopAndCopy } from './stop-and-copy.ts';
import { verifyRam } from './verify-sender.ts';

const PUBLISH_MS = 50;
/** Keeps the other side from taking a quiet link for a dead one; well below any stall timeout. */
const PING_MS = 500;
/**
 * The destination observes its guest for 100 ms before it reports; longer means that it has other
 * troubles.
 */
const GUEST_STARTED_LIMIT_MS = 5_000;

const FAREWELL_MS = 1_000;

/** One outgoing migration of one machine over one channel, told as a story by `run()`. */
export class OutgoingMigration {
  private readonly context: OutgoingContext;
  private readonly handOver: HandOver;
  private readonly parameters: MigrationParameters;

  constructor(options: OutgoingOptions) {
    const { machine, channel, clock, ledger } = options;
    this.parameters = { ...options.parameters };
    const interrupt = new Interrupt(clock);
    const meter = new LinkMeter();
    const limit = this.parameters.maxBandwidthBytesPerSecond;
    const record = new OutgoingRecord({
      migrationId: options.migrationId,
      mode: this.parameters.mode,
      epoch: ledger.read(machine.description.uuid)?.epoch ?? 1,
      totalBytes: machine.memory.pageCount * PAGE_BYTES,
      startMs: clock.nowMs(),
    });
    this.context = {
      machine,
      channel,
      clock,
      ledger,
      log: options.log.child({ uuid: machine.description.uuid, migrationId: options.migrationId }),
      migrationId: options.migrationId,
      peerName: options.peer,
      interrupt,
      meter,
      peer: new Peer(channel, clock, interrupt, meter),
      sender: new PageSender(machine.memory, channel, clock, interrupt, meter, limit),
      record,
      parameters: this.parameters,
      capabilities: options.capabilities,
      publish: () => options.observer.info(this.info()),
    };
    this.handOver = new HandOver(this.context, options.reached);
  }

  /**
   * Never rejects. Afterwards the channel is closed, and the guest runs here, or there, or the
   * error says why nowhere.
   */
  async run(): Promise<MigrationOutcome> {
    const { channel, clock, peer } = this.context;
    const stopTimers = this.startTimers();
    channel.start(peer);
    try {
      await this.migrate();
      await this.prove();
    } catch (thrown) {
      return await this.fail(toSternaError(thrown, 'E_CHANNEL_RESET', 'Migration failed'));
    } finally {
      stopTimers();
      this.context.record.end(clock.nowMs());
      this.context.publish();
    }
    return { status: 'completed', error: undefined };
  }

  /** The guest goes on at the source. Too late once GRANT may have been sent. */
  cancel(): 'cancelling' | 'too-late' {
    const { record, interrupt } = this.context;
    if (this.handOver.isIrrevocable || isOver(record.status)) return 'too-late';
    record.status = 'cancelling';
    interrupt.raise(new SternaError('E_CANCELLED', 'Migration was cancelled'));
    this.context.publish();
    return 'cancelling';
  }

  /** Takes effect at once, also for what waits because of the old values. */
  setParameters(changes: Partial<MigrationParameters>): void {
    Object.assign(this.parameters, changes);
    this.context.sender.setLimit(this.parameters.maxBandwidthBytesPerSecond);
  }

  info(): MigrationInfo {
    const { record, clock, channel } = this.context;
    return record.info(clock.nowMs(), channel.sentBytes);
  }

  private async migrate(): Promise<void> {
    const { context, handOver } = this;
    const { record, clock, parameters, channel } = context;
    const startMs = clock.nowMs();
    this.prepareCache();
    context.publish();
    await setUp(context);
    record.setupTimeMs = clock.nowMs() - startMs;
    context.interrupt.throwIfRaised();
    if (parameters.mode === 'precopy') await precopy(context);
    context.interrupt.throwIfRaised();
    const downtime = new DowntimeClock(context);
    await stopAndCopy(context, downtime, () => handOver.prepare());
    // A file is compared when it is loaded, so its hashes must lie before GRANT, its last frame.
    if (parameters.verify === 'strict' || (parameters.verify === 'after' && !channel.duplex)) {
      await verifyRam(context);
      this.refuseMismatch();
      downtime.mark('verify');
    }
    await handOver.grant(downtime);
    record.downtimeMs = downtime.elapsedMs;
    record.status = 'completed';
    context.log.info({
      event: 'migration.completed',
      downtimeMs: record.downtimeMs,
      parts: record.downtimeParts,
    });
    context.publish();
  }

  /**
   * After the switch. The guest runs at the destination already, so no failure here can undo the
   * migration.
   */
  private async prove(): Promise<void> {
    const { context } = this;
    const { record, peer, channel, parameters } = context;
    if (!channel.duplex) return;
    try {
      if (parameters.verify === 'after') await verifyRam(context);
      else if (parameters.verify === 'off') this.skipVerify('switched off');
      await this.learnGuestDowntime();
      if (['resumed', 'late-verified'].includes(peer.state))
        await peer.send('GOODBYE', encodeGoodbye());
      peer.finish();
      await channel.end();
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Link was lost after the switch');
      if (record.verify.status === 'running' || record.verify.status === 'pending')
        this.skipVerify(error.message);
      context.log.warn({
        event: 'migration.proof-incomplete',
        code: error.code,
        error: error.message,
      });
      peer.finish();
      channel.destroy(error);
    }
  }

  private async learnGuestDowntime(): Promise<void> {
    const { peer, interrupt, record } = this.context;
    const { running } = await peer.resumed.promise;
    if (!running) return;
    let started = false;
    const noted = peer.guestStarted.promise.then(({ guestDowntimeUs }) => {
      started = true;
      record.guestDowntimeUs = guestDowntimeUs ?? undefined;
    });
    noted.catch(() => {});
    await interrupt.until(() => started, GUEST_STARTED_LIMIT_MS, 'GUEST_STARTED');
  }

  private async fail(cause: SternaError): Promise<MigrationOutcome> {
    const { record, peer, log } = this.context;
    const phase = record.status;
    let error = cause;
    // After GRANT only the destination's own word that it does not have the guest lets it go on
    // here.
    if (
      this.handOver.isIrrevocable &&
      !(cause.detail.remote === true && cause.guestOwner === 'source')
    ) {
      error = this.handOver.unknown(cause);
    } else {
      // First the guest, which may be standing still, then the peer.
      error = await this.goOnHere(cause);
      await this.tellPeer(cause);
    }
    error.phase ??= phase;
    error.side ??= 'source';
    record.error = error;
    record.status = cause.code === 'E_CANCELLED' ? 'cancelled' : 'failed';
    this.skipVerify(error.message);
    peer.finish();
    this.context.channel.destroy(cause);
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

  private async goOnHere(cause: SternaError): Promise<SternaError> {
    try {
      await this.handOver.takeBack();
    } catch (thrown) {
      // The ledger still says that the guest is being given away: running it would contradict the
      // record. Nobody else has it.
      const error = toSternaError(thrown, 'E_STATE_DIRECTORY', 'Ownership could not be recorded');
      error.guestOwner = 'source';
      this.context.record.owner = 'source';
      return error;
    }
    cause.guestOwner = 'source';
    return cause;
  }

  /**
   * The peer learns the reason if it can still be told: it is delivered before the connection is
   * closed.
   */
  private async tellPeer(cause: SternaError): Promise<void> {
    const { peer, clock, channel } = this.context;
    const told =
      cause.code === 'E_CANCELLED'
        ? peer.send('CANCEL', encodeCancel({ reason: cause.message }))
        : peer.send('ERROR', encodeError(errorBodyFrom(cause)));
    peer.finish();
    const delivered = told.then(() => channel.end());
    await Promise.race([delivered.catch(() => {}), clock.sleep(FAREWELL_MS)]);
  }

  private refuseMismatch(): void {
    const { verify } = this.context.record;
    if (verify.status !== 'mismatch') return;
    throw new SternaError('E_VERIFY_MISMATCH', 'RAM at the destination differs', {
      detail: { pages: verify.mismatches },
    });
  }

  private skipVerify(reason: string): void {
    const { record } = this.context;
    if (record.verify.status === 'identical' || record.verify.status === 'mismatch') return;
    record.verify = { ...record.verify, status: 'skipped', reason };
  }

  private prepareCache(): void {
    const { machine, capabilities, parameters, record } = this.context;
    const { blocks, pageCount } = machine.memory;
    const wanted = capabilities.xbzrle ? parameters.xbzrleCacheBytes / PAGE_BYTES : 0;
    const pages = blocks.map((block) =>
      // A set of two pages at least, or a small block of a large guest would have no cache to look
      // into.
      block.resetCache(
        wanted && Math.max(2, Math.floor((wanted * block.layout.pageCount) / pageCount)),
      ),
    );
    record.cacheBytes = pages.reduce((sum, count) => sum + count, 0) * PAGE_BYTES;
  }

  private startTimers(): () => void {
    const { clock, peer, channel } = this.context;
    const stopPublishing = clock.every(PUBLISH_MS, this.context.publish);
    const stopPinging = clock.every(PING_MS, () => {
      if (!channel.duplex || ['connected', 'greeting'].includes(peer.state)) return;
      peer.ping();
      peer.checkAlive(this.parameters.stallTimeoutMs);
    });
    return () => {
      stopPublishing();
      stopPinging();
    };
  }
}

function isOver(status: MigrationInfo['status']): boolean {
  return (
    status === 'completed' ||
    status === 'failed' ||
    status === 'cancelled' ||
    status === 'cancelling'
  );
}
