import { type MigrationInfo, SternaError, toSternaError } from '../base/index.ts';
import type { FrameSink } from '../channel/index.ts';
import {
  carriesPages,
  DESTINATION_ACCEPTS,
  DESTINATION_OWES,
  DESTINATION_SENDS,
  type DestinationState,
  encodeError,
  errorBodyFrom,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  MESSAGE_TYPES,
  type MessageName,
  messageName,
  nextState,
} from '../protocol/index.ts';
import type { IncomingOptions, IncomingOutcome } from './incoming-contract.ts';
import { IncomingRecord } from './incoming-record.ts';
import { MessageHandlers } from './message-handlers.ts';
import { TakeOver } from './take-over.ts';

const PUBLISH_MS = 50;
const ALIVE_CHECK_MS = 100;
/**
 * A stranger that connects and says nothing is dropped after this long, or the stall timeout if
 * that is shorter.
 */
const HELLO_LIMIT_MS = 10_000;
const FAREWELL_MS = 1_000;
/** More than an honest source ever leaves unread: it reads all the time. */
const UNTAKEN_FRAMES_MAX = 64;

/**
 * One incoming migration over one channel. Frames drive it: the conversation table says what may
 * come, and `message-handlers.ts` what each message does. Handlers that wait (building the machine,
 * loading its state, recording ownership) run one after the other, and a stream that does not wait
 * for answers is held back meanwhile.
 */
export class IncomingMigration implements FrameSink {
  private readonly options: IncomingOptions;
  private readonly record: IncomingRecord;
  private readonly takeOver: TakeOver;
  private readonly handlers: MessageHandlers;
  private conversation: DestinationState = 'connected';
  /** For bodies that are not pages; one frame at a time. */
  private scratch = new Uint8Array(4096);
  private readonly startMs: number;
  /** The handler that waits now. */
  private busy: Promise<void> | undefined;
  private isPublishing = false;
  /** Sent, and not taken by the transport yet. */
  private untakenFrames = 0;
  private settle: ((outcome: IncomingOutcome) => void) | undefined;
  /**
   * Why this migration is being undone. The conversation alone does not tell: an ERROR of the
   * source also leads to `failed`.
   */
  private failure: SternaError | undefined;

  constructor(options: IncomingOptions) {
    const { clock, ledger, channel } = options;
    this.options = options;
    this.startMs = clock.nowMs();
    this.record = new IncomingRecord(this.startMs);
    this.takeOver = new TakeOver(ledger, clock, channel.name, options.reached);
    this.handlers = new MessageHandlers(options, this.record, this.takeOver, {
      send: (name, body) => this.send(name, body),
      publish: () => this.publishSoon(),
      state: () => this.conversation,
    });
  }

  /**
   * Never rejects. On failure everything that was built is gone, and the next migration can come.
   */
  run(): Promise<IncomingOutcome> {
    const { clock, channel } = this.options;
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
      channel.start(this);
    });
  }

  info(): MigrationInfo {
    return this.record.info(this.options.clock.nowMs(), this.options.channel.receivedBytes);
  }

  /**
   * The stream is held back while a handler waits; only a file needs it, a peer waits for the
   * answer by itself.
   */
  ready(): Promise<void> | undefined {
    return this.busy;
  }

  place(header: FrameHeader): Uint8Array {
    const name = messageName(header.type);
    const next = name === undefined ? undefined : this.next(name);
    if (next instanceof SternaError) this.fail(next);
    else if (this.failure === undefined && carriesPages(header.type)) {
      const place = this.handlers.placePages(header);
      if (!(place instanceof SternaError)) return place;
      this.fail(place);
    }
    // Lengths are within the cap of their type. After a failure what comes is dropped, so that the
    // source hears why.
    const bytes = header.bodyBytes + FRAME_HEADER_BYTES;
    if (this.scratch.length < bytes) this.scratch = new Uint8Array(bytes);
    return this.scratch;
  }

  frame(header: FrameHeader, body: Uint8Array): void {
    const name = messageName(header.type);
    // What comes after the end is dropped: a proof that was given up must not go on with a part of
    // the hashes.
    if (name === undefined || this.failure !== undefined || this.settle === undefined) return;
    const next = this.next(name);
    if (next instanceof SternaError) return this.fail(next);
    this.conversation = next;
    try {
      const pending = this.handlers.handle(name, header, body);
      if (pending === undefined) this.answer();
      else this.await(pending, name);
    } catch (thrown) {
      return this.fail(
        toSternaError(thrown, 'E_PROTOCOL_BAD_BODY', `${name} could not be handled`),
      );
    }
    if (name === 'GOODBYE') this.finish();
    else if (name === 'CANCEL' || name === 'ERROR') this.fail(this.handlers.farewell(name, body));
  }

  closed(error: SternaError | undefined): void {
    if (this.settle === undefined || this.failure !== undefined) return;
    if (this.record.status === 'completed') return this.finish();
    this.fail(
      error ??
        new SternaError('E_PROTOCOL_TRUNCATED', 'Source closed the connection before the end'),
    );
  }

  private next(name: MessageName): DestinationState | SternaError {
    return nextState(DESTINATION_ACCEPTS, this.conversation, name);
  }

  private await(pending: Promise<void>, name: MessageName): void {
    const done = pending.then(
      () => this.answer(),
      (thrown) =>
        this.fail(toSternaError(thrown, 'E_CHANNEL_RESET', `${name} could not be handled`)),
    );
    const busy = done.finally(() => {
      if (this.busy === busy) this.busy = undefined;
    });
    this.busy = busy;
  }

  /** A stream without a way back goes on as if the answer had been sent. */
  private answer(): void {
    if (this.options.channel.duplex) return;
    const owed = DESTINATION_OWES[this.conversation];
    if (owed === undefined) return;
    const next = nextState(DESTINATION_SENDS, this.conversation, owed);
    if (!(next instanceof SternaError)) this.conversation = next;
    // GRANT is the last frame of a file.
    if (owed === 'RESUMED') this.finish();
  }

  private send(name: MessageName, body: Uint8Array): void {
    if (!this.options.channel.duplex || this.failure !== undefined) return;
    const next = nextState(DESTINATION_SENDS, this.conversation, name);
    if (next instanceof SternaError) return this.fail(next);
    this.conversation = next;
    // A source that does not read gets no more of these: they would be kept here, as many as it
    // asks for.
    const isChatter = name === 'PONG' || name === 'PROGRESS';
    if (isChatter && this.untakenFrames >= UNTAKEN_FRAMES_MAX) return;
    this.untakenFrames += 1;
    const taken = () => {
      this.untakenFrames -= 1;
    };
    // A failure closes the channel, and closed() handles it.
    this.options.channel.send(MESSAGE_TYPES[name], body).then(taken, taken);
  }

  private finish(): void {
    const machine = this.handlers.machine;
    if (this.settle === undefined || machine === undefined) return;
    const { verify } = this.record;
    if (verify.status === 'pending' || verify.status === 'running') {
      this.record.verify = { ...verify, status: 'skipped', reason: 'the source did not finish it' };
    }
    this.options.channel.end().catch(() => {});
    this.settle({ status: 'completed', machine });
  }

  private checkAlive(): void {
    const { clock, channel, stallTimeoutMs } = this.options;
    if (this.settle === undefined || !channel.duplex || this.busy !== undefined) return;
    const greeted = this.conversation !== 'connected';
    const silentMs = clock.nowMs() - (greeted ? channel.lastReceivedMs : this.startMs);
    const limitMs = greeted
      ? this.handlers.stallTimeoutMs(stallTimeoutMs)
      : Math.min(HELLO_LIMIT_MS, stallTimeoutMs);
    if (silentMs <= limitMs) return;
    const error = new SternaError('E_CHANNEL_TIMEOUT', 'Source fell silent', {
      detail: { silentMs, limitMs },
    });
    if (this.record.status === 'completed') return this.finish();
    this.fail(error);
  }

  private fail(error: SternaError): void {
    if (this.failure !== undefined || this.settle === undefined) return;
    if (this.record.status === 'completed') return this.finishWithout(error);
    const remote = error.detail.remote === true || error.code === 'E_CANCELLED';
    error.phase ??= this.conversation;
    error.side ??= 'destination';
    this.failure = error;
    this.conversation = 'failed';
    void this.cleanUp(error, remote);
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

  private async cleanUp(error: SternaError, remote: boolean): Promise<void> {
    const { channel, clock, log } = this.options;
    // A handler that still waits may be building the machine that has to go.
    await this.busy?.catch(() => {});
    // Or it was recording that the guest is this side's, which no failure of the link undoes.
    if (this.record.status === 'completed') return this.finishWithout(error);
    error.guestOwner = await this.handlers.undo();
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
    if (!remote && channel.duplex) {
      const told = channel.send(MESSAGE_TYPES.ERROR, encodeError(errorBodyFrom(error)));
      await Promise.race([
        told.then(() => channel.end()).catch(() => {}),
        clock.sleep(FAREWELL_MS),
      ]);
    }
    channel.destroy(error);
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
