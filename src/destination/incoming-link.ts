import { SternaError, toSternaError } from '../base/index.ts';
import type { Channel, FrameSink, SlotFrame } from '../channel/index.ts';
import {
  carriesPages,
  DESTINATION_ACCEPTS,
  DESTINATION_OWES,
  DESTINATION_SENDS,
  type DestinationState,
  decodePing,
  encodePong,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  MESSAGE_TYPES,
  type MessageName,
  messageName,
  nextState,
} from '../protocol/index.ts';

/** More than an honest source ever leaves unread: it reads all the time. */
const UNTAKEN_FRAMES_MAX = 64;

/**
 * `main`: the conversation, with pages or without. `preempt`, `multifd`: pages alone, those that
 * vCPUs wait for, or a share of all.
 */
export type LinkRole = 'main' | 'preempt' | 'multifd';

/** Whom a connection belongs to. It may change: a further connection finds its migration. */
export interface LinkOwner {
  /** Where the body of a frame with pages or hashes goes. */
  placePages(link: IncomingLink, header: FrameHeader): Uint8Array | SternaError;
  /**
   * Does what a message asks for, whose turn has been checked. Returns a promise when that takes
   * time. Throws what is wrong with it.
   */
  handle(
    link: IncomingLink,
    name: MessageName,
    header: FrameHeader,
    body: Uint8Array,
  ): Promise<void> | undefined;
  /** Something that came is wrong. What comes from now on is dropped if the owner says so. */
  failed(link: IncomingLink, error: SternaError): void;
  /** Nothing more comes. */
  closed(link: IncomingLink, error: SternaError | undefined): void;
  /** A stream without a way back goes on as if `name` had been answered. */
  supposed(link: IncomingLink, name: MessageName): void;
}

/**
 * One connection of an incoming migration: holds what comes and what goes against the conversation,
 * and lets handlers that wait run one after the other.
 */
export class IncomingLink implements FrameSink {
  readonly channel: Channel;
  /** What comes on it; and the staging slot of each RAM block where its pages are put. */
  role: LinkRole = 'main';
  slot = 0;
  /** What came on connections beside it that the same acknowledgements are for. */
  furtherBytes: () => number = () => 0;
  private owner: LinkOwner;
  private conversation: DestinationState = 'connected';
  /** For bodies that are not pages; one frame at a time. */
  private scratch = new Uint8Array(4096);
  /** The handler that waits now. */
  private waiting: Promise<void> | undefined;
  /** Sent, and not taken by the transport yet. */
  private untakenFrames = 0;
  private isDeaf = false;

  constructor(channel: Channel, owner: LinkOwner) {
    this.channel = channel;
    this.owner = owner;
  }

  get state(): DestinationState {
    return this.conversation;
  }

  get receivedBytes(): number {
    return this.channel.receivedBytes + this.furtherBytes();
  }

  /** Resolves when the handler that waits now is through; undefined when none does. */
  get busy(): Promise<void> | undefined {
    return this.waiting;
  }

  /** Whatever comes from now on concerns `owner`. */
  give(owner: LinkOwner): void {
    this.owner = owner;
  }

  /** What comes from now on is read and dropped, so that the source hears why. */
  deafen(): void {
    this.isDeaf = true;
    this.conversation = 'failed';
  }

  /** Ends it at once. Nobody is told of it. */
  drop(error: SternaError): void {
    this.deafen();
    this.channel.destroy(error);
  }

  /**
   * The stream is held back while a handler waits; only a file needs it, a peer waits for the
   * answer by itself.
   */
  ready(): Promise<void> | undefined {
    return this.waiting;
  }

  place(header: FrameHeader): Uint8Array {
    const name = messageName(header.type);
    const next = name === undefined || this.isDeaf ? undefined : this.next(name);
    if (next instanceof SternaError) this.owner.failed(this, next);
    else if (!this.isDeaf && carriesPages(header.type)) {
      const place = this.owner.placePages(this, header);
      if (!(place instanceof SternaError)) return place;
      this.owner.failed(this, place);
    }
    // Lengths are within the cap of their type.
    const bytes = header.bodyBytes + FRAME_HEADER_BYTES;
    if (this.scratch.length < bytes) this.scratch = new Uint8Array(bytes);
    return this.scratch;
  }

  frame(header: FrameHeader, body: Uint8Array): void {
    const name = messageName(header.type);
    if (name === undefined || this.isDeaf) return;
    const next = this.next(name);
    if (next instanceof SternaError) return this.owner.failed(this, next);
    this.conversation = next;
    try {
      const pending = this.owner.handle(this, name, header, body);
      if (pending === undefined) this.answer();
      else this.await(pending, name);
    } catch (thrown) {
      const text = `${name} could not be handled`;
      this.owner.failed(this, toSternaError(thrown, 'E_PROTOCOL_BAD_BODY', text));
    }
  }

  closed(error: SternaError | undefined): void {
    this.owner.closed(this, error);
  }

  /** Whether `name` may be sent now. */
  maySend(name: MessageName): boolean {
    return !this.isDeaf && DESTINATION_SENDS[this.conversation][name] !== undefined;
  }

  /** Nothing when there is no way back. */
  send(name: MessageName, body: Uint8Array, block = 0): void {
    if (!this.channel.duplex || this.isDeaf) return;
    const next = nextState(DESTINATION_SENDS, this.conversation, name);
    if (next instanceof SternaError) return this.owner.failed(this, next);
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
    this.channel.send(MESSAGE_TYPES[name], body, block).then(taken, taken);
  }

  /** `nowMs`: the time of this side. Throws what is wrong with the body. */
  answerPing(body: Uint8Array, nowMs: number): void {
    const decoded = decodePing(body);
    if (decoded.kind === 'malformed') throw decoded.error;
    const { id, timeMs } = decoded.body;
    this.send('PONG', encodePong({ id, timeMs, peerTimeMs: nowMs }));
  }

  /**
   * Sends pages that lie in `slot` behind room for the header. Resolves when the transport has
   * taken them.
   */
  async sendPages(slot: Uint8Array, pages: Omit<SlotFrame, 'type'>): Promise<void> {
    const next = nextState(DESTINATION_SENDS, this.conversation, 'JOURNAL_PAGES');
    if (this.isDeaf || next instanceof SternaError) return;
    this.conversation = next;
    // A failure closes the channel, and closed() handles it.
    await this.channel
      .sendSlot(slot, { ...pages, type: MESSAGE_TYPES.JOURNAL_PAGES })
      .catch(() => {});
  }

  private next(name: MessageName): DestinationState | SternaError {
    return nextState(DESTINATION_ACCEPTS, this.conversation, name);
  }

  private await(pending: Promise<void>, name: MessageName): void {
    const done = pending.then(
      () => this.answer(),
      (thrown) => {
        const text = `${name} could not be handled`;
        this.owner.failed(this, toSternaError(thrown, 'E_CHANNEL_RESET', text));
      },
    );
    const waiting = done.finally(() => {
      if (this.waiting === waiting) this.waiting = undefined;
    });
    this.waiting = waiting;
  }

  private answer(): void {
    if (this.channel.duplex) return;
    const owed = DESTINATION_OWES[this.conversation];
    if (owed === undefined) return;
    const next = nextState(DESTINATION_SENDS, this.conversation, owed);
    if (!(next instanceof SternaError)) this.conversation = next;
    this.owner.supposed(this, owed);
  }
}
