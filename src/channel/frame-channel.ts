import { assert, type Clock, SternaError } from '../base/index.ts';
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  type MessageType,
  writeHeader,
} from '../protocol/index.ts';
import type { Channel, FrameSink, SlotFrame } from './channel.ts';
import { FrameReader } from './frame-reader.ts';
import type { Transport, TransportEvents } from './transport.ts';

/**
 * The Channel over any transport: frames, their sequence, the counters, and that a channel closes
 * exactly once. `open` gets the events before the transport exists, because a socket must know its
 * reader when it is made.
 */
export class FrameChannel implements Channel {
  readonly name: string;
  private readonly clock: Clock;
  private readonly reader: FrameReader;
  private readonly transport: Transport;
  private sink: FrameSink | undefined;
  private sequence = 0;
  private sent = 0;
  private received = 0;
  private receivedAtMs: number;
  /** Set once. Its `error` is undefined when the peer ended the stream between two frames. */
  private closing: { readonly error: SternaError | undefined } | undefined;
  private ending: Promise<void> | undefined;
  /** The sink knows that nothing more comes. */
  private reported = false;

  constructor(name: string, clock: Clock, open: (events: TransportEvents) => Transport) {
    this.name = name;
    this.clock = clock;
    this.receivedAtMs = clock.nowMs();
    this.reader = new FrameReader((error) => this.unreadable(error));
    this.transport = open({
      buffer: () => this.reader.buffer(),
      callback: (byteCount) => this.read(byteCount),
      ended: () => this.peerEnded(),
      failed: (error) => this.destroy(error),
      ready: () => this.sink?.ready?.(),
    });
  }

  get duplex(): boolean {
    return this.transport.duplex;
  }

  get sentBytes(): number {
    return this.sent;
  }

  get receivedBytes(): number {
    return this.received;
  }

  get lastReceivedMs(): number {
    return this.receivedAtMs;
  }

  start(sink: FrameSink): void {
    assert(this.sink === undefined, 'A channel is started once');
    this.sink = sink;
    if (this.closing !== undefined) {
      this.reportClosed(sink, this.closing.error);
      return;
    }
    this.reader.start(sink, !this.duplex);
    this.transport.startReading();
  }

  send(type: MessageType, body: Uint8Array, block = 0): Promise<void> {
    if (!this.isOpen()) return this.refuse();
    return this.transmit(encodeFrame(type, this.nextSequence(), body, block));
  }

  sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void> {
    if (!this.isOpen()) return this.refuse();
    const bytes = slot.subarray(0, FRAME_HEADER_BYTES + frame.bodyBytes);
    assert(bytes.length === FRAME_HEADER_BYTES + frame.bodyBytes, 'The frame lies in its slot');
    writeHeader(bytes, {
      type: frame.type,
      optional: false,
      bodyBytes: frame.bodyBytes,
      checkedBytes: frame.checkedBytes,
      sequence: this.nextSequence(),
      block: frame.block,
      checkedCrc: frame.checkedCrc,
    });
    return this.transmit(bytes);
  }

  end(): Promise<void> {
    if (this.ending === undefined) {
      // Without a sink nobody wants what the peer sends, but a connection that is closed with
      // unread bytes is reset, and the peer could lose what was sent to it.
      if (this.sink === undefined) this.reader.discard();
      this.ending = handled(this.transport.end());
    }
    return this.ending;
  }

  destroy(error?: SternaError): void {
    this.close(error ?? new SternaError('E_CHANNEL_RESET', 'Connection was closed on this side'));
    this.transport.reset();
  }

  private isOpen(): boolean {
    return this.closing === undefined && this.ending === undefined;
  }

  private nextSequence(): number {
    const sequence = this.sequence;
    this.sequence = (sequence + 1) >>> 0;
    return sequence;
  }

  private transmit(bytes: Uint8Array): Promise<void> {
    this.sent += bytes.length;
    const taken = new Promise<void>((resolve, reject) => {
      this.transport.write(bytes, (error) => {
        // A transport that was reset may still call back as if it had taken the bytes; node:net
        // does.
        const failure = this.closing?.error ?? error;
        if (failure === undefined) return resolve();
        reject(failure);
        this.destroy(failure);
      });
    });
    return handled(taken);
  }

  private refuse(): Promise<void> {
    const text = this.closing ? 'Connection was closed by the peer' : 'Connection was ended here';
    return handled(Promise.reject(this.closing?.error ?? new SternaError('E_CHANNEL_RESET', text)));
  }

  private read(byteCount: number): boolean {
    this.received += byteCount;
    this.receivedAtMs = this.clock.nowMs();
    return this.reader.callback(byteCount);
  }

  private peerEnded(): void {
    const truncated = this.reader.end();
    if (truncated !== undefined) {
      this.destroy(truncated);
      return;
    }
    this.close(undefined);
    // What was sent before still goes out; the transport bounds how long that may take.
    void this.end();
  }

  /**
   * What comes cannot be read further. Of a connection the other way is whole: the sink can still
   * tell the peer why. Until it ends the channel, what comes is thrown away, so that the peer is
   * not stuck in the middle of a write.
   */
  private unreadable(error: SternaError): void {
    if (!this.duplex || this.sink === undefined) return this.destroy(error);
    this.reader.discard();
    this.reportClosed(this.sink, error);
  }

  private close(error: SternaError | undefined): void {
    if (this.closing !== undefined) return;
    this.closing = { error };
    this.reader.stop();
    if (this.sink !== undefined) this.reportClosed(this.sink, error);
  }

  /** In a microtask: nobody who calls `destroy` or `start` is called back in the middle of it. */
  private reportClosed(sink: FrameSink, error: SternaError | undefined): void {
    if (this.reported) return;
    this.reported = true;
    queueMicrotask(() => sink.closed(error));
  }
}

/**
 * The sink hears of the failure too, so a caller that does not await a send must not end the
 * process.
 */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
