import { type GuestOwner, SternaError } from '../base/index.ts';
import type { Machine } from '../guestmem/index.ts';
import {
  type BodyResult,
  decodeCancel,
  decodeError,
  decodeGrant,
  decodeHello,
  decodeMachineState,
  decodePassBegin,
  decodePostcopyEnd,
  decodeStopped,
  decodeSwitchover,
  decodeVerifyEnd,
  encodeGuestStarted,
  encodeHelloAck,
  encodePostcopyResumed,
  encodeResumed,
  encodeSwitchoverAck,
  errorFromBody,
  type FrameHeader,
  type HelloBody,
  type MachineStateBody,
  type MessageName,
  type SwitchoverBody,
  type VerifyEndBody,
} from '../protocol/index.ts';
import { refuseIncomplete } from './arrival-check.ts';
import { refuseLatePages } from './further/further-links.ts';
import { LastBatches } from './further/last-batches.ts';
import { admit, agreedCapabilities } from './greeting.ts';
import { observeGuestDowntime } from './guest-downtime.ts';
import { HashComparison } from './hash-comparison.ts';
import type { IncomingOptions } from './incoming-contract.ts';
import type { IncomingLink } from './incoming-link.ts';
import type { IncomingRecord } from './incoming-record.ts';
import { openJournal } from './journal/open-journal.ts';
import type { TakeOver } from './ownership/take-over.ts';
import { PageLoader } from './page-loader.ts';
import { PostcopyReceiver } from './postcopy-receiver.ts';
import { ProgressTeller } from './progress-teller.ts';

const SOFTWARE = 'sterna';
/**
 * A source on a bad link may ask for that much silence, however little this side allows; for more
 * it takes this side's word, since until the switch whoever comes first keeps all others out.
 */
const ASKED_STALL_MS_MAX = 60_000;

/** What handlers need of the migration that they are part of. */
export interface Conversation {
  /** The connection on which the source is answered now. */
  link(): IncomingLink;
  /** There is a second one, for pages that vCPUs wait for. */
  hasSecondLink(): boolean;
  publish(): void;
}

/** What each message of the source does. The order in which they come has been checked. */
export class MessageHandlers {
  machine: Machine | undefined;
  /** From the moment at which the guest was handed over with pages missing. */
  postcopy: PostcopyReceiver | undefined;
  private readonly options: IncomingOptions;
  private readonly record: IncomingRecord;
  private readonly takeOver: TakeOver;
  private readonly conversation: Conversation;
  private readonly comparison: HashComparison;
  private readonly progress: ProgressTeller;
  private readonly lastBatches: LastBatches;
  private receiver: PostcopyReceiver | undefined;
  private loader: PageLoader | undefined;
  private greeted: HelloBody | undefined;
  private machineState: MachineStateBody | undefined;
  private missesPages = false;
  private lastStepMs: readonly number[] = [];
  private stoppedMs = 0;
  private owned = false;

  constructor(
    options: IncomingOptions,
    record: IncomingRecord,
    takeOver: TakeOver,
    conversation: Conversation,
  ) {
    this.options = options;
    this.record = record;
    this.takeOver = takeOver;
    this.conversation = conversation;
    this.comparison = new HashComparison(record, options.log);
    this.lastBatches = new LastBatches(options.clock, options.stallTimeoutMs);
    this.progress = new ProgressTeller(
      options.clock,
      () => conversation.link(),
      () => record.appliedPages,
    );
  }

  /** What the source said of itself and its guest. */
  get hello(): HelloBody | undefined {
    return this.greeted;
  }

  placePages(link: IncomingLink, header: FrameHeader): Uint8Array | SternaError {
    return (
      this.loader?.place(header, link.slot) ??
      new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Pages came before the machine')
    );
  }

  /** GRANT has come, and what it says is being recorded or is on record. */
  get isGranted(): boolean {
    return this.owned;
  }

  /** The limit that the source asked for, if it did. */
  stallTimeoutMs(ownMs: number): number {
    const asked = this.greeted?.parameters['x-stall-timeout'];
    if (typeof asked !== 'number' || asked < 100 || asked > 3_600_000) return ownMs;
    return this.owned ? asked : Math.min(asked, Math.max(ownMs, ASKED_STALL_MS_MAX));
  }

  /**
   * Does what `name` asks for. Returns a promise when that takes time. Throws what is wrong with
   * it.
   */
  handle(
    link: IncomingLink,
    name: MessageName,
    header: FrameHeader,
    body: Uint8Array,
  ): Promise<void> | undefined {
    switch (name) {
      case 'HELLO':
        return this.greet(accept(decodeHello(body)));
      case 'PASS_BEGIN':
        return this.beginPass(accept(decodePassBegin(body)));
      case 'PAGE_BATCH':
        return this.applyPages(link, header);
      case 'STOPPED':
        return this.stopped(accept(decodeStopped(body)).lastStepMs);
      case 'MISSING_MAP':
        this.promised().forget(header.block, body);
        return undefined;
      case 'MACHINE_STATE':
        // Decoded copies: `body` is only lent, and loading waits for SWITCHOVER.
        this.machineState = accept(decodeMachineState(body.slice()));
        return undefined;
      case 'SWITCHOVER':
        return this.load(accept(decodeSwitchover(body)));
      case 'GRANT':
        return this.resume(accept(decodeGrant(body)).epoch);
      case 'JOURNAL_ACK':
        this.promised().acknowledged(body);
        return undefined;
      case 'POSTCOPY_END':
        accept(decodePostcopyEnd(body));
        return this.endPostcopy();
      case 'VERIFY_HASHES':
        return this.compareHashes(header);
      case 'VERIFY_END':
        return this.endVerify(accept(decodeVerifyEnd(body)));
      case 'PING':
        link.answerPing(body, this.options.clock.nowMs());
        return undefined;
      default:
        return undefined;
    }
  }

  /** The error that CANCEL or ERROR of the source means here. */
  farewell(name: 'CANCEL' | 'ERROR', body: Uint8Array): SternaError {
    if (name === 'ERROR') return errorFromBody(accept(decodeError(body)), 'source');
    const { reason } = accept(decodeCancel(body));
    return new SternaError('E_CANCELLED', 'Source cancelled the migration', {
      detail: { reason, remote: true },
    });
  }

  /** The migration has failed: nothing is waited for any more. */
  giveUp(error: SternaError): void {
    this.lastBatches.giveUp(error);
  }

  /** Resolves when nothing here touches the machine any more. Never rejects. */
  async stop(): Promise<void> {
    await this.receiver?.stop();
  }

  /** Leaves nothing of a failed migration behind. Resolves to the owner of the guest. */
  async undo(): Promise<GuestOwner> {
    const { factory, log } = this.options;
    const machine = this.machine;
    this.machine = undefined;
    this.loader = undefined;
    await this.stop();
    if (machine !== undefined) await factory.destroy(machine);
    // own() has settled the record of a failed take-over already, whatever error came first.
    if (this.owned) return this.takeOver.ownerAfterFailure;
    try {
      await this.takeOver.abandon();
      return 'source';
    } catch (thrown) {
      log.warn({ event: 'ownership.record-failed', error: String(thrown) });
      // Nothing says that this side owns the guest, and GRANT did not come.
      return 'source';
    }
  }

  private async greet(hello: HelloBody): Promise<void> {
    const { options, record } = this;
    const { clock, reached = () => {} } = options;
    this.greeted = hello;
    record.migrationId = hello.migrationId;
    record.mode = modeOf(hello.parameters['x-mode']);
    record.epoch = hello.guest.epoch;
    await admit(hello, options, this.takeOver, (machine) => {
      this.machine = machine;
    });
    const { machine } = this;
    if (machine === undefined) return;
    this.loader = new PageLoader(machine.memory);
    const capabilities = agreedCapabilities(hello);
    if (capabilities.includes('postcopy-ram')) {
      const journal = openJournal(hello, { machine, clock, log: options.log, reached });
      this.receiver = new PostcopyReceiver({ machine, record, clock, reached, journal });
    }
    record.totalPages = machine.memory.pageCount;
    record.status = 'active';
    record.setupTimeMs = this.elapsedMs();
    const { parameters } = hello;
    const answer = { software: SOFTWARE, capabilities, parameters, receivedPages: 0 };
    this.conversation.link().send('HELLO_ACK', encodeHelloAck(answer));
    this.conversation.publish();
  }

  private beginPass({ pass, dirtyPages }: { pass: number; dirtyPages: number }): undefined {
    this.record.dirtySyncCount = pass;
    this.record.remainingPages = dirtyPages;
    // In the pause each answer costs the guest a wake-up of the source.
    if (this.record.status !== 'device') this.progress.tell();
    this.conversation.publish();
  }

  private applyPages(link: IncomingLink, header: FrameHeader): undefined {
    const { options, conversation, postcopy, record } = this;
    refuseLatePages(link, conversation.link(), postcopy !== undefined);
    const result = this.loaded().apply(header, link.slot, postcopy !== undefined);
    record.applied(result, header.checkedBytes);
    options.reached?.('destination.page-applied');
    postcopy?.pagesCame();
    this.lastBatches.came(record.batches);
    // Frames of the second connection are in nobody's window.
    const isInWindow = link.role !== 'preempt';
    if (isInWindow && postcopy !== undefined) this.progress.acknowledge();
    else if (isInWindow) this.progress.tellIfDue();
    if (record.status === 'completed') conversation.publish();
  }

  private stopped(lastStepMs: readonly number[]): undefined {
    this.lastStepMs = lastStepMs;
    this.stoppedMs = this.options.clock.nowMs();
    this.record.status = 'device';
    this.record.precopyBytes = this.record.receivedBytes(this.conversation.link());
    this.conversation.publish();
  }

  private async load(switchover: SwitchoverBody): Promise<void> {
    const { record, machine, machineState } = this;
    if (machine === undefined || machineState === undefined)
      throw new SternaError('E_MACHINE_STATE', 'Machine state is missing');
    if (this.hello?.capabilities.includes('multifd')) {
      await this.lastBatches.until(switchover.batches);
    }
    const startMs = this.options.clock.nowMs();
    this.checkPages(switchover);
    this.comparison.isStrict = switchover.strictVerify;
    await machine.load(machineState);
    if (switchover.paused) await machine.pause('operator');
    this.options.reached?.('destination.loaded');
    const loadMs = this.options.clock.nowMs() - startMs;
    record.downtimeParts.load = loadMs;
    const { epoch } = this.takeOver;
    this.conversation.link().send('SWITCHOVER_ACK', encodeSwitchoverAck({ epoch, loadMs }));
  }

  /** Every page has come, or was told to be missing. */
  private checkPages(switchover: SwitchoverBody): void {
    this.missesPages = switchover.missingPages !== undefined;
    refuseIncomplete(switchover, this.record, this.receiver?.missingPages ?? 0);
    if (!this.missesPages) return;
    this.promised();
    this.machine?.setPostcopy(true);
  }

  private async resume(epoch: number): Promise<void> {
    const { machine, record, options, takeOver } = this;
    if (machine === undefined || epoch !== takeOver.epoch) {
      throw new SternaError('E_HANDSHAKE_EPOCH', 'GRANT is for another epoch', {
        detail: { epoch, expected: takeOver.epoch },
      });
    }
    this.comparison.refuseMismatch();
    this.owned = true;
    const link = this.conversation.link();
    record.grantedBytes = record.receivedBytes(link);
    const recorded = takeOver.own();
    // While the disk writes; nothing of it runs the guest.
    machine.resetHeartbeats();
    if (this.missesPages) {
      this.postcopy = this.promised();
      this.postcopy.start(link);
    }
    const recordMs = await recorded;
    machine.resume('ownership');
    options.reached?.('destination.running');
    // It stays paused when this side was told so, or an operator had stopped it at the source.
    const running = machine.pauseReasons().length === 0;
    record.epoch = epoch;
    record.owner = 'destination';
    record.status = this.missesPages ? 'postcopy-active' : 'completed';
    record.downtimeMs = options.clock.nowMs() - this.stoppedMs;
    record.downtimeParts.record = recordMs;
    const body = { epoch, running, parts: record.downtimeParts };
    if (this.missesPages) link.send('POSTCOPY_RESUMED', encodePostcopyResumed(body));
    else link.send('RESUMED', encodeResumed(body));
    // What came in pre-copy without being told: it would fill the smaller window of post-copy.
    if (this.missesPages) this.progress.tell();
    options.reached?.('destination.after-resumed-sent');
    this.postcopy?.flush();
    this.conversation.publish();
    if (running) void this.tellGuestDowntime(machine);
  }

  private endPostcopy(): undefined {
    this.postcopy?.ended(this.conversation.hasSecondLink());
    this.conversation.publish();
  }

  private async tellGuestDowntime(machine: Machine): Promise<void> {
    const observed = await observeGuestDowntime(machine, this.options.clock, this.lastStepMs);
    this.record.guestDowntimeUs = observed.guestDowntimeUs ?? undefined;
    const link = this.conversation.link();
    // In post-copy there may be no connection now.
    if (link.maySend('GUEST_STARTED') || this.postcopy === undefined) {
      link.send('GUEST_STARTED', encodeGuestStarted({ ...observed, errorUs: null }));
    }
    this.conversation.publish();
  }

  private compareHashes(header: FrameHeader): undefined {
    this.comparison.compare(this.loaded(), header);
    this.progress.tell();
  }

  private endVerify(body: VerifyEndBody): undefined {
    this.conversation.link().send('VERIFY_RESULT', this.comparison.end(body));
    this.conversation.publish();
  }

  private loaded(): PageLoader {
    if (this.loader !== undefined) return this.loader;
    throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Pages came before the machine');
  }

  private promised(): PostcopyReceiver {
    if (this.receiver !== undefined) return this.receiver;
    throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'Post-copy was not agreed on');
  }

  private elapsedMs(): number {
    return this.record.info(this.options.clock.nowMs(), 0).totalTimeMs;
  }
}

function modeOf(text: unknown): IncomingRecord['mode'] {
  return text === 'stop' || text === 'postcopy' || text === 'hybrid' ? text : 'precopy';
}

/** The channel closes with what is thrown here. */
function accept<T>(result: BodyResult<T>): T {
  if (result.kind === 'malformed') throw result.error;
  return result.body;
}
