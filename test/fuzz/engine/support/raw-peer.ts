import type { SimClock } from '../../../../src/base/index.ts';
import { FrameChannel } from '../../../../src/channel/frame-channel.ts';
import type { Channel, FrameSink } from '../../../../src/channel/index.ts';
import { MemoryConnection } from '../../../../src/channel/memory-channel.ts';
import type { Transport } from '../../../../src/channel/transport.ts';
import {
  FrameDecoder,
  MESSAGE_TYPES,
  type MessageName,
  type MessageType,
  messageName,
} from '../../../../src/protocol/index.ts';
import { numbered } from './frames.ts';

const READ_BYTES = 64 * 2 ** 10;

/**
 * The end of a connection that keeps to nothing: it writes bytes. What comes is decoded and kept.
 */
export class RawPeer {
  /** Called with each frame that the engine sent, when it arrives. */
  onFrame: (name: MessageName, body: Uint8Array) => void = () => {};
  receivedBytes = 0;
  isOver = false;
  private readonly transport: Transport;
  private readonly decoder = new FrameDecoder();
  private readonly target = new Uint8Array(READ_BYTES);
  private sequence = 0;

  constructor(connection: MemoryConnection, end: 'a' | 'b') {
    this.transport = connection.openEnd(end, {
      buffer: () => this.target,
      callback: (byteCount) => this.read(byteCount),
      ended: () => this.over(),
      failed: () => this.over(),
      ready: () => undefined,
    });
    this.transport.startReading();
  }

  /** A frame under the next sequence number; `change` gets it last. */
  send(frame: Uint8Array, change: (frame: Uint8Array) => Uint8Array = (same) => same): void {
    this.sendRaw(change(numbered(frame, this.sequence)));
    this.sequence = (this.sequence + 1) >>> 0;
  }

  sendRaw(bytes: Uint8Array): void {
    this.transport.write(bytes, () => {});
  }

  end(): void {
    void this.transport.end();
  }

  reset(): void {
    this.transport.reset();
  }

  private read(byteCount: number): boolean {
    this.receivedBytes += byteCount;
    this.decoder.push(this.target.slice(0, byteCount));
    for (let result = this.decoder.next(); result.kind !== 'incomplete'; ) {
      if (result.kind === 'malformed') throw result.error;
      if (result.kind === 'frame') {
        const name = messageName(result.header.type);
        if (name !== undefined) this.onFrame(name, result.body.slice());
      }
      result = this.decoder.next();
    }
    return true;
  }

  private over(): void {
    this.isOver = true;
  }
}

/** The engine's end: a real channel, which tells what the engine does with it. */
export class WatchedChannel extends FrameChannel {
  readonly sentNames: MessageName[] = [];
  /** Longest memory that the engine has set aside for the body of one frame. */
  placeBytesMax = 0;
  untakenFrames = 0;
  untakenFramesMax = 0;
  private readonly frames: Uint8Array[] | undefined;

  constructor(
    clock: SimClock,
    connection: MemoryConnection,
    end: 'a' | 'b',
    frames?: Uint8Array[],
  ) {
    const tap = (transport: Transport): Transport => ({
      duplex: transport.duplex,
      startReading: () => transport.startReading(),
      write: (bytes, done) => {
        // Not slice(), which for a Buffer is a view.
        frames?.push(new Uint8Array(bytes));
        transport.write(bytes, done);
      },
      end: () => transport.end(),
      reset: () => transport.reset(),
    });
    super(`memory:${end}`, clock, (events) => tap(connection.openEnd(end, events)));
    this.frames = frames;
  }

  /** Frames that went out, if they were asked for. */
  get captured(): readonly Uint8Array[] {
    return this.frames ?? [];
  }

  override start(sink: FrameSink): void {
    super.start({
      place: (header) => {
        const place = sink.place(header);
        if (place instanceof Uint8Array)
          this.placeBytesMax = Math.max(this.placeBytesMax, place.length);
        return place;
      },
      frame: (header, body) => sink.frame(header, body),
      ready: () => sink.ready?.(),
      closed: (error) => sink.closed(error),
    });
  }

  override send(type: MessageType, body: Uint8Array, block?: number): Promise<void> {
    this.note(type);
    return this.count(super.send(type, body, block));
  }

  override sendSlot(...parameters: Parameters<Channel['sendSlot']>): Promise<void> {
    this.note(parameters[1].type);
    return this.count(super.sendSlot(...parameters));
  }

  private note(type: MessageType): void {
    const name = messageName(type);
    // Pings would fill the memory of a long run.
    if (name !== undefined && type !== MESSAGE_TYPES.PONG) this.sentNames.push(name);
  }

  private count(taken: Promise<void>): Promise<void> {
    this.untakenFrames += 1;
    this.untakenFramesMax = Math.max(this.untakenFramesMax, this.untakenFrames);
    const settled = () => {
      this.untakenFrames -= 1;
    };
    taken.then(settled, settled);
    return taken;
  }
}

export interface LinkOptions {
  readonly bufferBytes?: number;
  /**
   * From this frame of the engine's on nothing of what it says is taken any more: a peer that does
   * not read.
   */
  readonly deafFrom?: number;
}

/** `engine`: its end of the connection. */
export function connect(
  clock: SimClock,
  engine: 'a' | 'b',
  options: LinkOptions = {},
): MemoryConnection {
  const { bufferBytes, deafFrom } = options;
  const outgoing = engine === 'a' ? 'a-to-b' : 'b-to-a';
  return new MemoryConnection({
    clock,
    latencyMs: 0.1,
    ...(bufferBytes === undefined ? {} : { bufferBytes }),
    faults: (direction, index) =>
      deafFrom !== undefined && direction === outgoing && index >= deafFrom ? 'stall' : 'deliver',
  });
}
