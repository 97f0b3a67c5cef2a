import type { Clock, SternaError } from '../base/index.ts';
import { FRAME_HEADER_BYTES, type FrameHeader, readHeader } from '../protocol/index.ts';
import { feed } from './frame-reader.ts';
import type { TransportEvents } from './transport.ts';

/**
 * What happens to one frame. `cut` ends the connection in its place, `stall` silences this
 * direction from it on.
 */
export type FrameFate = 'deliver' | 'cut' | 'stall' | 'corrupt' | 'duplicate' | 'drop';

export interface MemoryLinkOptions {
  /**
   * Time from the last byte's departure to its arrival; a function of the time of departure where
   * the receiver is sometimes busy with something else. What departed earlier arrives earlier.
   */
  readonly latencyMs?: number | ((nowMs: number) => number);
  /** 0 or absent: no limit. */
  readonly bandwidthBytesPerSecond?: number;
  /** Bytes that are taken before they have departed, as a socket's buffers take them. */
  readonly bufferBytes?: number;
  /** Length of the next piece that arrives; by default a frame arrives whole. At least 1. */
  readonly pieceBytes?: () => number;
}

/** The default of Linux for a TCP socket is of this order. */
const BUFFER_BYTES = 256 * 2 ** 10;

interface Departure {
  /**
   * The sender's memory until the link has taken it, then a copy. Undefined: the end of the stream.
   */
  bytes: Uint8Array | undefined;
  taken: boolean;
  readonly done: (error?: SternaError) => void;
}

type Arrival =
  | { readonly kind: 'piece'; readonly dueMs: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly dueMs: number }
  | { readonly kind: 'failure'; readonly dueMs: number; readonly error: SternaError };

/**
 * One direction of a connection in memory. All its waiting is done by the clock that it was given.
 */
export class MemoryLink {
  private readonly clock: Clock;
  private readonly options: MemoryLinkOptions;
  private readonly decideFate: (frameIndex: number, header: FrameHeader) => FrameFate;
  private readonly cutConnection: () => void;
  private receiver: TransportEvents | undefined;

  private readonly departures: Departure[] = [];
  private departing = false;
  private frameIndex = 0;
  private takenBytes = 0;
  /** Nothing departs any more: stalled or failed. */
  private silent = false;
  private failed = false;

  private arrivals: Arrival[] = [];
  private arriving = false;
  private reading = false;

  constructor(
    clock: Clock,
    options: MemoryLinkOptions,
    decideFate: (frameIndex: number, header: FrameHeader) => FrameFate,
    cutConnection: () => void,
  ) {
    this.clock = clock;
    this.options = options;
    this.decideFate = decideFate;
    this.cutConnection = cutConnection;
  }

  connect(receiver: TransportEvents): void {
    this.receiver = receiver;
  }

  /** What arrived before waits for this. */
  startReading(): void {
    this.reading = true;
    void this.serveArrivals();
  }

  /** The receiver is gone: whatever arrives is lost. */
  stopReading(): void {
    this.reading = false;
    this.arrivals = [];
  }

  write(bytes: Uint8Array, done: (error?: SternaError) => void): void {
    this.departures.push({ bytes, taken: false, done });
    this.takeWhatFits();
    void this.serveDepartures();
  }

  /**
   * Ends the stream behind all that was written; resolves when that has departed, or cannot any
   * more.
   */
  end(): Promise<void> {
    return new Promise((resolve) => {
      this.departures.push({ bytes: undefined, taken: false, done: () => resolve() });
      void this.serveDepartures();
    });
  }

  /** Nothing departs from now on. What is on its way still arrives, and behind it the error. */
  fail(error: SternaError): void {
    if (!this.failed) {
      this.silent = true;
      this.failed = true;
      // A receiver that has not begun to read hears of the failure as well.
      if (!this.reading) this.arrivals = [];
      this.arrive({ kind: 'failure', error, dueMs: this.arrivalMs() });
    }
    for (const departure of this.departures.splice(0)) {
      if (!departure.taken) departure.done(error);
    }
  }

  private async serveDepartures(): Promise<void> {
    if (this.departing) return;
    this.departing = true;
    for (let next = this.departures[0]; next !== undefined && !this.silent; ) {
      if (next.bytes === undefined) this.arrive({ kind: 'end', dueMs: this.arrivalMs() });
      else await this.depart(next, next.bytes);
      if (this.silent) break;
      this.departures.shift();
      if (next.taken) this.takenBytes -= next.bytes?.length ?? 0;
      else next.done();
      this.takeWhatFits();
      next = this.departures[0];
    }
    this.departing = false;
  }

  private async depart(departure: Departure, frame: Uint8Array): Promise<void> {
    const fate = this.fateOf(frame);
    if (fate === 'cut') return this.cutConnection();
    if (fate === 'stall') {
      this.silent = true;
      return;
    }
    // A frame longer than the buffer is never taken; it is copied now, and its slot is free when it
    // has departed.
    const bytes = departure.taken ? frame : Uint8Array.from(frame);
    if (fate === 'corrupt') flipBit(bytes);
    await this.transfer(bytes, fate !== 'drop');
    if (fate === 'duplicate') await this.transfer(bytes, true);
  }

  private fateOf(frame: Uint8Array): FrameFate {
    const index = this.frameIndex;
    this.frameIndex += 1;
    // Only what is no frame of ours (a test's raw bytes) is malformed here, and it has no fate.
    const sequence = index >>> 0;
    const result = frame.length < FRAME_HEADER_BYTES ? undefined : readHeader(frame, sequence);
    if (result?.kind !== 'header' || result.header.type === undefined) return 'deliver';
    return this.decideFate(index, result.header);
  }

  private async transfer(bytes: Uint8Array, arrives: boolean): Promise<void> {
    const bytesPerMs = (this.options.bandwidthBytesPerSecond ?? 0) / 1000;
    for (let offset = 0; offset < bytes.length && !this.silent; ) {
      const piece = bytes.subarray(offset, offset + (this.options.pieceBytes?.() ?? bytes.length));
      offset += piece.length;
      if (bytesPerMs > 0) await this.clock.sleep(piece.length / bytesPerMs);
      if (arrives && !this.silent) {
        this.arrive({ kind: 'piece', bytes: piece, dueMs: this.arrivalMs() });
      }
    }
  }

  /** Takes frames into the buffer, in order, as a socket does. */
  private takeWhatFits(): void {
    if (this.failed) return;
    const bufferBytes = this.options.bufferBytes ?? BUFFER_BYTES;
    for (const departure of this.departures) {
      if (departure.taken) continue;
      const bytes = departure.bytes;
      if (bytes === undefined || this.takenBytes + bytes.length > bufferBytes) return;
      // Not slice(), which for a Buffer is a view.
      departure.bytes = Uint8Array.from(bytes);
      departure.taken = true;
      this.takenBytes += bytes.length;
      departure.done();
    }
  }

  private arrivalMs(): number {
    const { latencyMs = 0 } = this.options;
    const nowMs = this.clock.nowMs();
    return nowMs + (typeof latencyMs === 'number' ? latencyMs : latencyMs(nowMs));
  }

  private arrive(arrival: Arrival): void {
    this.arrivals.push(arrival);
    void this.serveArrivals();
  }

  private async serveArrivals(): Promise<void> {
    if (this.arriving) return;
    this.arriving = true;
    while (this.reading || this.failed) {
      const [arrival] = this.arrivals;
      if (arrival === undefined) break;
      // At least one turn of the loop, so that nobody is called back in the middle of a send.
      const waitMs = arrival.dueMs - this.clock.nowMs();
      await (waitMs > 0 ? this.clock.sleep(waitMs) : this.clock.yieldToLoop());
      // A real timer counts whole milliseconds and may fire early by a part of one.
      if (this.clock.nowMs() < arrival.dueMs) continue;
      // Else the receiver has gone meanwhile.
      if (this.arrivals[0] === arrival) {
        this.arrivals.shift();
        this.deliver(arrival);
      }
    }
    this.arriving = false;
  }

  private deliver(arrival: Arrival): void {
    const { receiver } = this;
    if (receiver === undefined) return;
    if (arrival.kind === 'piece') feed(receiver, arrival.bytes);
    else if (arrival.kind === 'end') receiver.ended();
    else receiver.failed(arrival.error);
  }
}

/** In the middle: of a header alone its sequence, else of the body. */
function flipBit(bytes: Uint8Array): void {
  const at = bytes.length >>> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}
