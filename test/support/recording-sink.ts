import { type Deferred, deferred, type SternaError } from '../../src/base/index.ts';
import type { FrameSink } from '../../src/channel/index.ts';
import {
  FRAME_HEADER_BYTES,
  type FrameHeader,
  PAGE_BATCH_BYTES_MAX,
} from '../../src/protocol/index.ts';

export interface RecordedFrame {
  readonly header: FrameHeader;
  /** A copy. */
  readonly body: Uint8Array;
}

export interface RecordingSinkOptions {
  /** By default one area that is used for every body. */
  readonly place?: (header: FrameHeader) => Uint8Array | SternaError;
  /** Called with each frame, after it was recorded. `body` lies where `place` said. */
  readonly onFrame?: (header: FrameHeader, body: Uint8Array) => void;
}

/** Remembers all that a channel delivers. */
export class RecordingSink implements FrameSink {
  readonly frames: RecordedFrame[] = [];
  /** Every call of `closed`; there should be one. */
  readonly closings: (SternaError | undefined)[] = [];
  private readonly options: RecordingSinkOptions;
  private readonly area = new Uint8Array(PAGE_BATCH_BYTES_MAX + FRAME_HEADER_BYTES);
  private readonly closing: Deferred<SternaError | undefined> = deferred();
  private waiters: { readonly count: number; readonly arrived: Deferred<void> }[] = [];

  constructor(options: RecordingSinkOptions = {}) {
    this.options = options;
  }

  place(header: FrameHeader): Uint8Array | SternaError {
    return this.options.place?.(header) ?? this.area;
  }

  frame(header: FrameHeader, body: Uint8Array): void {
    this.frames.push({ header, body: Uint8Array.from(body) });
    for (const waiter of this.waiters) {
      if (this.frames.length >= waiter.count) waiter.arrived.resolve();
    }
    this.options.onFrame?.(header, body);
  }

  closed(error: SternaError | undefined): void {
    this.closings.push(error);
    this.closing.resolve(error);
    const failure = error ?? new Error('The channel ended before the expected frames came');
    for (const waiter of this.waiters) waiter.arrived.reject(failure);
  }

  /** Resolves when the channel has closed, with its error. */
  untilClosed(): Promise<SternaError | undefined> {
    return this.closing.promise;
  }

  /** Resolves when so many frames have come; rejects when the channel closes before. */
  untilFrames(count: number): Promise<void> {
    const arrived = deferred<void>();
    if (this.frames.length >= count) arrived.resolve();
    this.waiters.push({ count, arrived });
    return arrived.promise;
  }
}
