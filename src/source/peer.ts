import { type Clock, type Deferred, deferred, SternaError } from '../base/index.ts';
import type { Channel, FrameSink } from '../channel/index.ts';
import {
  type AllReceivedBody,
  type BodyResult,
  carriesPages,
  decodeAllReceived,
  decodeError,
  decodeGuestStarted,
  decodeHelloAck,
  decodePageMap,
  decodePageRequest,
  decodePing,
  decodePong,
  decodePostcopyResumed,
  decodeProbeAck,
  decodeProbeResult,
  decodeProgress,
  decodeRecovered,
  decodeRecovery,
  decodeResumed,
  decodeSwitchoverAck,
  decodeVerifyResult,
  encodePing,
  encodePong,
  errorFromBody,
  type FrameHeader,
  type GuestStartedBody,
  type HelloAckBody,
  MESSAGE_TYPES,
  type MessageName,
  messageName,
  nextState,
  PAGE_MAP_BYTES_MAX,
  type PageMapBody,
  type PageRequestBody,
  type ProbeAckBody,
  type ProbeResultBody,
  type RecoveredBody,
  type RecoveryBody,
  type ResumedBody,
  SOURCE_ACCEPTS,
  SOURCE_AWAITS,
  SOURCE_SENDS,
  type SourceState,
  type SwitchoverAckBody,
  type VerifyResultBody,
} from '../protocol/index.ts';
import type { Interrupt } from './interrupt.ts';
import type { LinkMeter } from './link-meter.ts';
import type { Journal, JournalMessage } from './postcopy/journal/journal.ts';

/** Longer bodies never come from a destination. */
const BODY_BYTES_MAX = PAGE_MAP_BYTES_MAX;
/** Each vCPU waits for one page. */
const EARLY_REQUESTS_MAX = 16;
/** An honest peer asks twice a second. */
const UNTAKEN_PONGS_MAX = 16;

/**
 * The destination, as the source hears and answers it: checks the order of the conversation both
 * ways, keeps the answers that the engine waits for, feeds the link meter, and raises the interrupt
 * when the peer fails or falls silent.
 */
export class Peer implements FrameSink {
  readonly helloAck: Deferred<HelloAckBody> = deferred();
  readonly switchoverAck: Deferred<SwitchoverAckBody> = deferred();
  readonly resumed: Deferred<ResumedBody> = deferred();
  readonly verifyResult: Deferred<VerifyResultBody> = deferred();
  readonly guestStarted: Deferred<GuestStartedBody> = deferred();
  readonly allReceived: Deferred<AllReceivedBody> = deferred();
  readonly recovery: Deferred<RecoveryBody> = deferred();
  readonly recovered: Deferred<RecoveredBody> = deferred();
  readonly probeAck: Deferred<ProbeAckBody> = deferred();
  readonly probeResult: Deferred<ProbeResultBody> = deferred();
  /** Received maps by block, as they came. */
  readonly maps = new Map<number, PageMapBody>();
  /** Whoever answers requests; those that came before are answered first. Throws what is wrong. */
  private answerRequest: ((body: PageRequestBody) => void) | undefined;
  /** A destination asks right behind its received maps, before this side has looked at them. */
  private earlyRequests: PageRequestBody[] = [];
  /** What the destination's guest changes; undefined when that was not agreed on. */
  journal: Pick<Journal, 'place' | 'receive'> | undefined;
  /** Number of pages of a block; undefined when there is none. */
  pagesOfBlock: (block: number) => number | undefined = () => undefined;
  private readonly channel: Channel;
  private readonly clock: Clock;
  private readonly interrupt: Interrupt;
  private readonly meter: LinkMeter;
  private readonly body = new Uint8Array(BODY_BYTES_MAX + 64);
  private conversation: SourceState = 'connected';
  private pingId = 0;
  private pongs = 0;
  private untakenPongs = 0;
  private ended = false;

  constructor(channel: Channel, clock: Clock, interrupt: Interrupt, meter: LinkMeter) {
    this.channel = channel;
    this.clock = clock;
    this.interrupt = interrupt;
    this.meter = meter;
  }

  get state(): SourceState {
    return this.conversation;
  }

  /** Nothing more is expected of it. */
  get isOver(): boolean {
    return this.ended;
  }

  get pongCount(): number {
    return this.pongs;
  }

  /** Whether `name` may go out now. */
  maySend(name: MessageName): boolean {
    return !this.ended && SOURCE_SENDS[this.conversation][name] !== undefined;
  }

  /** Notes that `name` goes out; throws when it must not. */
  sending(name: MessageName): void {
    const next = nextState(SOURCE_SENDS, this.conversation, name);
    // Nothing more goes to a peer that has failed; what counts is why it has.
    if (next instanceof SternaError) this.interrupt.throwIfRaised();
    this.step(next);
  }

  /**
   * Sends a control message of the conversation. What ends the migration also ends the wait for a
   * link that is full.
   */
  async send(name: Exclude<MessageName, 'PAGE_BATCH'>, body: Uint8Array, block = 0): Promise<void> {
    this.sending(name);
    const taken = this.channel.send(MESSAGE_TYPES[name], body, block);
    // The message that tells the peer why goes out after the interrupt was raised.
    if (this.interrupt.error !== undefined) return taken;
    let settled = false;
    const settle = () => {
      settled = true;
      this.interrupt.wake();
    };
    taken.then(settle, settle);
    while (!settled) await this.interrupt.wait();
    await taken;
  }

  /**
   * Sends without waiting until the transport has taken it: each wait is a turn of the event loop,
   * and in the pause they add up. A failure closes the channel, which raises the interrupt.
   */
  post(name: Exclude<MessageName, 'PAGE_BATCH'>, body: Uint8Array, block = 0): void {
    this.sending(name);
    this.channel
      .send(MESSAGE_TYPES[name], body, block)
      .catch((error) => this.interrupt.raise(error));
  }

  /** A file answers nothing: the conversation goes on as if the answer had come. */
  assumeAnswer(): void {
    const answer = SOURCE_AWAITS[this.conversation];
    if (answer !== undefined) this.step(nextState(SOURCE_ACCEPTS, this.conversation, answer));
  }

  /** From now on `answer` is called for each PAGE_REQUEST, in the turn in which it comes. */
  serveRequests(answer: (body: PageRequestBody) => void): void {
    this.answerRequest = answer;
    for (const body of this.earlyRequests.splice(0)) answer(body);
  }

  /**
   * Resolves when everything that was sent on this connection has been applied: the destination
   * answers a PING in its turn. Rejects with what was raised, or E_CHANNEL_TIMEOUT.
   */
  async drained(limitMs: number): Promise<void> {
    this.ping();
    // Those that are under way are answered first.
    const due = this.pingId;
    await this.interrupt.until(() => this.pongs >= due, limitMs, 'answer to PING');
  }

  ping(): void {
    this.pingId += 1;
    // A failure to send closes the channel, which raises the interrupt.
    this.send('PING', encodePing({ id: this.pingId, timeMs: this.clock.nowMs() })).catch(() => {});
  }

  /** Raises E_CHANNEL_TIMEOUT when nothing came for `limitMs`. */
  checkAlive(limitMs: number): void {
    const silentMs = this.clock.nowMs() - this.channel.lastReceivedMs;
    if (!this.channel.duplex || this.ended || silentMs <= limitMs) return;
    const error = new SternaError('E_CHANNEL_TIMEOUT', 'Destination fell silent', {
      detail: { silentMs, limitMs },
    });
    this.channel.destroy(error);
    this.fail(error);
  }

  /** The conversation is over; a connection that closes from now on is no failure. */
  finish(): void {
    this.ended = true;
  }

  place(header: FrameHeader): Uint8Array | SternaError {
    const { JOURNAL_PAGES, JOURNAL_STATE } = MESSAGE_TYPES;
    const isPages = header.type === JOURNAL_PAGES;
    const place =
      isPages || header.type === JOURNAL_STATE ? this.journal?.place(header, isPages) : undefined;
    if (place !== undefined) return place;
    if (header.bodyBytes <= BODY_BYTES_MAX && !carriesPages(header.type)) return this.body;
    return new SternaError(
      'E_PROTOCOL_UNEXPECTED_MESSAGE',
      `${messageName(header.type)} came from the destination`,
    );
  }

  frame(header: FrameHeader, body: Uint8Array): void {
    const name = messageName(header.type);
    if (name === undefined || this.ended) return;
    this.step(nextState(SOURCE_ACCEPTS, this.conversation, name));
    if (name === 'RECEIVED_MAP') this.receiveMap(header.block, body);
    else if (name === 'JOURNAL_PAGES' || name === 'JOURNAL_STATE' || name === 'JOURNAL_POINT')
      this.receiveJournal(name, header, body);
    else this.receive(name, body);
    this.interrupt.wake();
  }

  closed(error: SternaError | undefined): void {
    if (this.ended) return;
    this.fail(error ?? new SternaError('E_CHANNEL_RESET', 'Destination closed the connection'));
  }

  private receive(name: MessageName, body: Uint8Array): void {
    const nowMs = this.clock.nowMs();
    switch (name) {
      case 'HELLO_ACK':
        return this.helloAck.resolve(accept(decodeHelloAck(body)));
      case 'SWITCHOVER_ACK':
        return this.switchoverAck.resolve(accept(decodeSwitchoverAck(body)));
      case 'RESUMED':
        return this.resumed.resolve(accept(decodeResumed(body)));
      case 'POSTCOPY_RESUMED':
        return this.resumed.resolve(accept(decodePostcopyResumed(body)));
      case 'PAGE_REQUEST':
        return this.pageRequest(accept(decodePageRequest(body)));
      case 'ALL_RECEIVED':
        return this.allReceived.resolve(accept(decodeAllReceived(body)));
      case 'RECOVERY':
        return this.recovery.resolve(accept(decodeRecovery(body)));
      case 'RECOVERED':
        return this.recovered.resolve(accept(decodeRecovered(body)));
      case 'VERIFY_RESULT':
        return this.verifyResult.resolve(accept(decodeVerifyResult(body)));
      case 'GUEST_STARTED':
        return this.guestStarted.resolve(accept(decodeGuestStarted(body)));
      case 'PROBE_ACK':
        return this.probeAck.resolve(accept(decodeProbeAck(body)));
      case 'PROBE_RESULT':
        return this.probeResult.resolve(accept(decodeProbeResult(body)));
      case 'PROGRESS':
        return this.meter.delivered(accept(decodeProgress(body)).receivedBytes, nowMs);
      case 'PING': {
        const { id, timeMs } = accept(decodePing(body));
        return this.answerPing(encodePong({ id, timeMs, peerTimeMs: nowMs }));
      }
      case 'PONG': {
        const pong = accept(decodePong(body));
        this.pongs += 1;
        return this.meter.roundTrip(pong.timeMs, nowMs, pong.peerTimeMs);
      }
      case 'ERROR':
        return this.fail(errorFromBody(accept(decodeError(body)), 'destination'));
      default:
        return;
    }
  }

  private pageRequest(body: PageRequestBody): void {
    if (this.answerRequest !== undefined) return this.answerRequest(body);
    if (this.earlyRequests.length >= EARLY_REQUESTS_MAX) {
      throw new SternaError('E_PAGE_REQUEST', 'Destination asks for more than vCPUs can wait for');
    }
    this.earlyRequests.push(body);
  }

  private receiveJournal(name: JournalMessage, header: FrameHeader, body: Uint8Array): void {
    if (this.journal !== undefined) return this.journal.receive(name, header, body);
    throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', 'No journal was agreed on');
  }

  private receiveMap(block: number, body: Uint8Array): void {
    const pageCount = this.pagesOfBlock(block);
    if (pageCount === undefined || this.maps.has(block)) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Received map is of no block, or comes twice', {
        detail: { block },
      });
    }
    this.maps.set(block, accept(decodePageMap('RECEIVED_MAP', body, pageCount)));
  }

  /**
   * A peer that asks and does not read the answers gets no more of them: they would be kept here.
   */
  private answerPing(pong: Uint8Array): void {
    if (this.untakenPongs >= UNTAKEN_PONGS_MAX) return;
    this.untakenPongs += 1;
    const taken = () => {
      this.untakenPongs -= 1;
    };
    this.send('PONG', pong).then(taken, taken);
  }

  private fail(error: SternaError): void {
    const answers = [this.helloAck, this.switchoverAck, this.resumed, this.verifyResult];
    const later = [this.guestStarted, this.allReceived, this.recovery, this.recovered];
    const probe = [this.probeAck, this.probeResult];
    for (const answer of [...answers, ...later, ...probe]) answer.reject(error);
    this.interrupt.raise(error);
  }

  private step(next: SourceState | SternaError): void {
    if (next instanceof SternaError) throw next;
    this.conversation = next;
  }
}

/** The channel closes with what is thrown here. */
function accept<T>(result: BodyResult<T>): T {
  if (result.kind === 'malformed') throw result.error;
  return result.body;
}
