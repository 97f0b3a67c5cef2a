import type { GuestOwner, SternaError } from '../../base/index.ts';
import type { Channel, FrameSink, SlotFrame } from '../../channel/index.ts';
import {
  crc32c,
  decodeError,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type MessageName,
  type MessageType,
  messageName,
} from '../../protocol/index.ts';

export interface SeenFrame {
  readonly name: MessageName;
  readonly bytes: number;
  readonly checksum: number;
  /** Of ERROR. */
  readonly guestOwner: GuestOwner | undefined;
}

export interface ChannelWatch {
  sends(frame: SeenFrame): void;
  receives(frame: SeenFrame): void;
  /** Where a body was put: the memory that the engine set aside for it. */
  placed(header: FrameHeader, placeBytes: number): void;
}

/** A channel that tells what an engine says and hears, and changes nothing. */
export class ObservedChannel implements Channel {
  private readonly inner: Channel;
  private readonly watch: ChannelWatch;
  private untakenCount = 0;

  constructor(inner: Channel, watch: ChannelWatch) {
    this.inner = inner;
    this.watch = watch;
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
    this.inner.start({
      place: (header) => {
        const place = sink.place(header);
        if (place instanceof Uint8Array) this.watch.placed(header, place.length);
        return place;
      },
      frame: (header, body) => {
        this.watch.receives(seen(header.type, body, header.checkedCrc));
        sink.frame(header, body);
      },
      ready: () => sink.ready?.(),
      closed: (error) => sink.closed(error),
    });
  }

  send(type: MessageType, body: Uint8Array, block?: number): Promise<void> {
    this.watch.sends(seen(type, body, crc32c(body)));
    return this.count(this.inner.send(type, body, block));
  }

  sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void> {
    const body = slot.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + frame.bodyBytes);
    this.watch.sends(seen(frame.type, body, frame.checkedCrc));
    return this.count(this.inner.sendSlot(slot, frame));
  }

  end(): Promise<void> {
    return this.inner.end();
  }

  destroy(error?: SternaError): void {
    this.inner.destroy(error);
  }

  private count(taken: Promise<void>): Promise<void> {
    this.untakenCount += 1;
    const settled = () => {
      this.untakenCount -= 1;
    };
    taken.then(settled, settled);
    return taken;
  }
}

function seen(type: MessageType, body: Uint8Array, checksum: number): SeenFrame {
  // A MessageType always has a name.
  const name = messageName(type) ?? 'ERROR';
  const decoded = name === 'ERROR' ? decodeError(body) : undefined;
  return {
    name,
    bytes: FRAME_HEADER_BYTES + body.length,
    checksum: checksum >>> 0,
    guestOwner: decoded?.kind === 'ok' ? decoded.body.guestOwner : undefined,
  };
}
