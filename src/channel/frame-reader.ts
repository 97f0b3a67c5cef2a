import { assert, SternaError } from '../base/index.ts';
import {
  carriesPages,
  checkBody,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  OPTIONAL_BYTES_MAX,
  readHeader,
  type SkippableHeader,
} from '../protocol/index.ts';
import type { FrameSink } from './channel.ts';

/** Where a transport puts what it reads; the shape of `onread` in node:net. */
export interface ReadTarget {
  /** Where the next bytes go. Never empty. */
  buffer(): Uint8Array;
  /** How many bytes came there. False: stop reading. */
  callback(byteCount: number): boolean;
}

/**
 * Cuts a byte stream into frames without copying bodies. It asks for exactly the rest of a body
 * plus the next header, so the transport reads straight to where the sink wants the body, and only
 * those last 32 bytes are moved. Reading further ahead would be no faster (fewer reads, but the
 * staging area then falls out of the cache).
 */
export class FrameReader implements ReadTarget {
  private readonly headerArea = new Uint8Array(FRAME_HEADER_BYTES);
  /** Bodies that nobody wants go here; made when the first one comes. */
  private scratch: Uint8Array | undefined;
  private readonly fail: (error: SternaError) => void;
  private sink: FrameSink | undefined;
  private stopped = false;
  private discarding = false;
  private pulled = false;
  private sequence = 0;

  /** The frame whose body is being read; undefined while a header is. */
  private header: FrameHeader | SkippableHeader | undefined;
  private target: Uint8Array = this.headerArea;
  private haveBytes = 0;
  private wantBytes = FRAME_HEADER_BYTES;

  /** `fail` is called at most once, when the stream cannot be read further. */
  constructor(fail: (error: SternaError) => void) {
    this.fail = fail;
  }

  /**
   * Names who gets the frames. Before this at most one header may be read. `pulled`: the transport
   * waits for `sink.ready()` and then calls `callback(0)`, so a header that came with a body is
   * left alone until then.
   */
  start(sink: FrameSink, pulled: boolean): void {
    this.sink = sink;
    this.pulled = pulled;
  }

  /** No frame is delivered after this, not even one that already came. */
  stop(): void {
    this.stopped = true;
  }

  /** Reads on, to see the end of the stream, and throws everything away. */
  discard(): void {
    this.discarding = true;
    this.header = undefined;
    this.target = this.scratchArea();
    this.haveBytes = 0;
    this.wantBytes = this.target.length;
  }

  buffer(): Uint8Array {
    return this.target.subarray(this.haveBytes, this.wantBytes);
  }

  callback(byteCount: number): boolean {
    if (this.discarding) return true;
    this.haveBytes += byteCount;
    // One read can end a frame and hold the whole next header, and a frame without a body is then
    // complete as well.
    while (!this.stopped) {
      if (this.header === undefined) {
        if (this.haveBytes < FRAME_HEADER_BYTES) return true;
        this.beginBody();
      } else {
        if (this.haveBytes < this.header.bodyBytes) return true;
        this.completeBody(this.header);
        if (this.pulled && this.sink?.ready?.() !== undefined) return true;
      }
    }
    return this.discarding;
  }

  /** The stream ended: an error if that was inside a frame. */
  end(): SternaError | undefined {
    if (this.header === undefined && this.haveBytes === 0) return undefined;
    const mistaken = this.sequence === 0 ? tlsMistakenFor(this.headerArea) : undefined;
    if (mistaken !== undefined) return mistaken;
    return new SternaError('E_PROTOCOL_TRUNCATED', 'Stream ended inside a frame', {
      detail: {
        sequence: this.sequence,
        receivedBytes: this.haveBytes,
        expectedBytes: this.header?.bodyBytes ?? FRAME_HEADER_BYTES,
      },
    });
  }

  private beginBody(): void {
    const result = readHeader(this.headerArea, this.sequence);
    if (result.kind === 'malformed') {
      const mistaken = this.sequence === 0 ? tlsMistakenFor(this.headerArea) : undefined;
      this.stopWith(mistaken ?? result.error);
      return;
    }
    this.sequence = (this.sequence + 1) >>> 0;
    const place = this.place(result.header);
    if (place instanceof SternaError) {
      this.stopWith(place);
      return;
    }
    const readBytes = result.header.bodyBytes + FRAME_HEADER_BYTES;
    assert(place.length >= readBytes, 'The place of a body also has room for the next header');
    this.header = result.header;
    this.target = place;
    this.haveBytes = 0;
    this.wantBytes = readBytes;
  }

  private place(header: FrameHeader | SkippableHeader): Uint8Array | SternaError {
    assert(this.sink !== undefined, 'Nothing is read before start()');
    return header.type === undefined ? this.scratchArea() : this.sink.place(header);
  }

  private scratchArea(): Uint8Array {
    this.scratch ??= new Uint8Array(OPTIONAL_BYTES_MAX + FRAME_HEADER_BYTES);
    return this.scratch;
  }

  private completeBody(header: FrameHeader | SkippableHeader): void {
    const body = this.target.subarray(0, header.bodyBytes);
    // The next header moves out first: the sink may use the place as it likes while it has the
    // frame.
    this.headerArea.set(this.target.subarray(header.bodyBytes, this.haveBytes));
    this.haveBytes -= header.bodyBytes;
    this.target = this.headerArea;
    this.wantBytes = FRAME_HEADER_BYTES;
    this.header = undefined;
    // The kernel checks pages, in the same pass that copies them.
    const checkedLater = header.type !== undefined && carriesPages(header.type);
    const damage = checkedLater ? undefined : checkBody(header, body);
    if (damage !== undefined) this.stopWith(damage);
    else if (header.type !== undefined) this.deliver(header, body);
  }

  private deliver(header: FrameHeader, body: Uint8Array): void {
    try {
      this.sink?.frame(header, body);
    } catch (thrown) {
      // Anything else is a defect of this program and must not look like a lost link.
      if (!(thrown instanceof SternaError)) throw thrown;
      this.stopWith(thrown);
    }
  }

  private stopWith(error: SternaError): void {
    if (this.stopped) return;
    this.stopped = true;
    this.fail(error);
  }
}

/**
 * What a peer sends first when it speaks TLS: a handshake (22) when it connects, an alert (21) when
 * it answers. Nothing of ours begins like that.
 */
function tlsMistakenFor([type, version]: Uint8Array): SternaError | undefined {
  if ((type !== 22 && type !== 21) || version !== 3) return undefined;
  return new SternaError('E_TLS_UNEXPECTED', 'The peer speaks TLS, this side does not');
}

/**
 * Copies `bytes` to wherever `target` wants them, piece by piece, for transports that cannot read
 * in place.
 */
export function feed(target: ReadTarget, bytes: Uint8Array): boolean {
  let offset = 0;
  while (offset < bytes.length) {
    const place = target.buffer();
    const piece = bytes.subarray(offset, offset + place.length);
    place.set(piece);
    offset += piece.length;
    if (!target.callback(piece.length)) return false;
  }
  return true;
}
