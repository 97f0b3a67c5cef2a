import type { GuestOwner, SternaError } from '../../base/index.ts';
import { crc32c } from '../../base/index.ts';
import type { Channel, FrameSink, SlotFrame } from '../../channel/index.ts';
import {
  decodeError,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type MessageName,
  type MessageType,
  messageName,
} from '../../protocol/index.ts';
import type { SimulatedProcess } from './simulated-process.ts';

export interface SeenFrame {
  readonly name: MessageName;
  readonly bytes: number;
  readonly checksum: number;
  readonly block: number;
  /** Valid while the event is looked at. */
  readonly body: Uint8Array;
  readonly checkedBytes: number;
  /** Of ERROR. */
  readonly guestOwner: GuestOwner | undefined;
}

export interface ChannelWatch {
  sends(frame: SeenFrame): void;
  receives(frame: SeenFrame): void;
  /** Where a body was put: the memory that the engine set aside for it. */
  placed(header: FrameHeader, placeBytes: number): void;
}

/**
 * A channel that tells what an engine says and hears, and changes nothing while the process of the
 * engine lives. Afterwards nothing goes through it any more.
 */
export class ObservedChannel implements Channel {
  private readonly inner: Channel;
  private readonly process: SimulatedProcess;
  private readonly watch: ChannelWatch;
  private untakenCount = 0;

  constructor(inner: Channel, process: SimulatedProcess, watch: ChannelWatch) {
    this.inner = inner;
    this.process = process;
    this.watch = watch;
    process.onKill(() => inner.destroy());
  }

  get name(): string {
    return this.inner.name;
  }

  get duplex(): boolean {
    return this.inner.duplex;
  }

  get sentBytes(): number {
    return this.inner.sentBytes;
  }

  get receivedBytes(): number {
    return this.inner.receivedBytes;
  }

  get lastReceivedMs(): number {
    return this.inner.lastReceivedMs;
  }

  /** Frames that the transport has not taken yet: they occupy memory here. */
  get untakenFrames(): number {
    return this.untakenCount;
  }

  start(sink: FrameSink): void {
    const { process, watch } = this;
    this.inner.start({
      place: (header) => {
        const place = process.isAlive ? sink.place(header) : new Uint8Array(header.bodyBytes + 64);
        if (place instanceof Uint8Array && process.isAlive) watch.placed(header, place.length);
        return place;
      },
      frame: (header, body) => {
        if (!process.isAlive) return;
        const { type, block, checkedCrc, checkedBytes } = header;
        watch.receives(seen(type, body, { block, checkedCrc, checkedBytes }));
        // The watch may have ended it.
        if (process.isAlive) sink.frame(header, body);
      },
      ready: () => sink.ready?.(),
      closed: (error) => {
        if (process.isAlive) sink.closed(error);
      },
    });
  }

  send(type: MessageType, body: Uint8Array, block = 0): Promise<void> {
    if (!this.process.isAlive) return new Promise(() => {});
    const checked = { block, checkedCrc: crc32c(body), checkedBytes: body.length };
    this.watch.sends(seen(type, body, checked));
    return this.count(this.inner.send(type, body, block));
  }

  sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void> {
    if (!this.process.isAlive) return new Promise(() => {});
    const body = slot.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + frame.bodyBytes);
    this.watch.sends(seen(frame.type, body, frame));
    return this.count(this.inner.sendSlot(slot, frame));
  }

  async end(): Promise<void> {
    if (this.process.isAlive) await this.process.whileAlive(this.inner.end());
  }

  destroy(error?: SternaError): void {
    if (this.process.isAlive) this.inner.destroy(error);
  }

  private count(taken: Promise<void>): Promise<void> {
    this.untakenCount += 1;
    const settled = () => {
      this.untakenCount -= 1;
    };
    taken.then(settled, settled);
    return this.process.whileAlive(taken);
  }
}

function seen(
  type: FrameHeader['type'],
  body: Uint8Array,
  { block, checkedCrc, checkedBytes }: Pick<SlotFrame, 'block' | 'checkedCrc' | 'checkedBytes'>,
): SeenFrame {
  // A MessageType always has a name.
  const name = messageName(type) ?? 'ERROR';
  const decoded = name === 'ERROR' ? decodeError(body) : undefined;
  return {
    name,
    bytes: FRAME_HEADER_BYTES + body.length,
    checksum: checkedCrc >>> 0,
    block,
    body,
    checkedBytes,
    guestOwner: decoded?.kind === 'ok' ? decoded.body.guestOwner : undefined,
  };
}
