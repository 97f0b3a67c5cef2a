import { assert, SternaError } from '../base/index.ts';
import {
  checkBody,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  readHeader,
  type SkippableHeader,
} from './frame.ts';

export type DecodeResult =
  | {
      readonly kind: 'frame';
      readonly header: FrameHeader;
      /** A view, valid until the next call of `next()` or `push()`. */
      readonly body: Uint8Array;
      /** Where the frame's header begins in the stream. */
      readonly offset: number;
    }
  | {
      readonly kind: 'skipped';
      readonly header: SkippableHeader;
      readonly offset: number;
    }
  | { readonly kind: 'incomplete'; readonly missingBytes: number }
  | { readonly kind: 'malformed'; readonly error: SternaError; readonly offset: number };

export interface FrameDecoderOptions {
  /** Also report unknown optional frames, which are otherwise passed over in silence. */
  readonly reportSkipped?: boolean;
}

/** Small, so that a stranger who opens a connection and says nothing costs nothing. */
const FIRST_BUFFER_BYTES = 4096;

/**
 * Cuts a stream that comes in chunks of any size into frames. Never throws on what it reads. A
 * frame that lies in one chunk is not copied; otherwise its bytes are gathered in a buffer that
 * grows as they really arrive, and never beyond the longest legal frame.
 */
export class FrameDecoder {
  private readonly reportSkipped: boolean;
  /** What was pushed and not read yet. */
  private chunk: Uint8Array = new Uint8Array(0);
  /** The beginning of a frame that spans chunks. */
  private partial: Uint8Array = new Uint8Array(0);
  private partialBytes = 0;
  private header: FrameHeader | SkippableHeader | undefined;
  private sequence = 0;
  private offset = 0;
  private failure: DecodeResult | undefined;

  constructor(options: FrameDecoderOptions = {}) {
    this.reportSkipped = options.reportSkipped ?? false;
  }

  /** Where the next frame's header begins in the stream. */
  get streamOffset(): number {
    return this.offset;
  }

  /** Bytes set aside for a frame that spans chunks. */
  get bufferBytes(): number {
    return this.partial.length;
  }

  /**
   * Gives the next bytes of the stream. They are read in place: call `next()` until it says
   * incomplete first.
   */
  push(chunk: Uint8Array): void {
    if (this.failure !== undefined) return;
    assert(this.chunk.length === 0, 'The last chunk was not read to its end');
    this.chunk = chunk;
  }

  /** The next frame, or why there is none. After `malformed` it says nothing else any more. */
  next(): DecodeResult {
    while (this.failure === undefined) {
      const result = this.step();
      if (result.kind === 'malformed') {
        this.failure = result;
        this.chunk = new Uint8Array(0);
        this.partial = this.chunk;
      }
      if (result.kind !== 'skipped' || this.reportSkipped) return result;
    }
    return this.failure;
  }

  /** The stream ended: an error unless that was between two frames. */
  end(): SternaError | undefined {
    if (this.failure?.kind === 'malformed') return this.failure.error;
    if (this.partialBytes + this.chunk.length === 0) return undefined;
    return new SternaError('E_PROTOCOL_TRUNCATED', 'Stream ended inside a frame', {
      detail: {
        offset: this.offset,
        receivedBytes: this.partialBytes + this.chunk.length,
        expectedBytes: FRAME_HEADER_BYTES + (this.header?.bodyBytes ?? 0),
      },
    });
  }

  private step(): DecodeResult {
    if (this.header === undefined) {
      const headerBytes = this.gather(FRAME_HEADER_BYTES);
      if (headerBytes === undefined) return this.incomplete(FRAME_HEADER_BYTES);
      const result = readHeader(headerBytes, this.sequence);
      if (result.kind === 'malformed') return { ...result, offset: this.offset };
      this.header = result.header;
    }
    const header = this.header;
    // readHeader() has held the length against its cap, so this is at most the longest legal frame.
    const frameBytes = FRAME_HEADER_BYTES + header.bodyBytes;
    const frame = this.gather(frameBytes);
    if (frame === undefined) return this.incomplete(frameBytes);
    const offset = this.offset;
    this.consume(frameBytes);
    const body = frame.subarray(FRAME_HEADER_BYTES);
    const error = checkBody(header, body);
    if (error !== undefined) return { kind: 'malformed', error, offset };
    if (header.type === undefined) return { kind: 'skipped', header, offset };
    return { kind: 'frame', header, body, offset };
  }

  /**
   * The first `wantedBytes` of the frame in one piece; undefined, and the chunk put by, if they
   * are not all there.
   */
  private gather(wantedBytes: number): Uint8Array | undefined {
    if (this.partialBytes === 0 && this.chunk.length >= wantedBytes) {
      return this.chunk.subarray(0, wantedBytes);
    }
    if (this.partialBytes < wantedBytes) {
      const piece = this.chunk.subarray(0, wantedBytes - this.partialBytes);
      this.reserve(this.partialBytes + piece.length, wantedBytes);
      this.partial.set(piece, this.partialBytes);
      this.partialBytes += piece.length;
      this.chunk = this.chunk.subarray(piece.length);
    }
    return this.partialBytes < wantedBytes ? undefined : this.partial.subarray(0, wantedBytes);
  }

  /** Doubles, but from bytes that came, not from the length that was announced. */
  private reserve(neededBytes: number, wantedBytes: number): void {
    if (neededBytes <= this.partial.length) return;
    const doubledBytes = Math.max(FIRST_BUFFER_BYTES, 2 * neededBytes);
    const grown = new Uint8Array(Math.max(neededBytes, Math.min(doubledBytes, wantedBytes)));
    grown.set(this.partial.subarray(0, this.partialBytes));
    this.partial = grown;
  }

  private consume(frameBytes: number): void {
    if (this.partialBytes === 0) this.chunk = this.chunk.subarray(frameBytes);
    this.partialBytes = 0;
    this.header = undefined;
    this.offset += frameBytes;
    this.sequence = (this.sequence + 1) >>> 0;
  }

  private incomplete(wantedBytes: number): DecodeResult {
    return { kind: 'incomplete', missingBytes: wantedBytes - this.partialBytes };
  }
}
