import type { SternaError } from '../base/index.ts';
import type { FrameHeader, MessageType } from '../protocol/index.ts';

/**
 * One connection that carries frames both ways. The engines see only this: TCP, a file and the
 * simulator's in-memory pair implement it, and one compliance suite
 * (`test/support/channel-compliance.ts`) holds for all.
 *
 * Bodies are never copied by the channel: outgoing slots are written straight from (shared) memory,
 * and incoming bodies are read straight to where the sink wants them.
 */
export interface Channel {
  /** For logs and errors, for example `tcp:127.0.0.1:4444`. */
  readonly name: string;
  /** False for a file: nothing ever comes back. */
  readonly duplex: boolean;
  /**
   * Bytes handed to the transport and bytes received, headers included: the ground truth of all
   * statistics.
   */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Milliseconds (`Clock.nowMs`) of the last received byte. */
  readonly lastReceivedMs: number;

  /** Begins to read; called once. Frames that came before wait in the transport. */
  start(sink: FrameSink): void;

  /**
   * Sends a control message, or a page map of RAM block `block`. Resolves when the transport has
   * taken it; rejects with the error that closed the channel. Order of calls = order on the wire,
   * also relative to `sendSlot`.
   */
  send(type: MessageType, body: Uint8Array, block?: number): Promise<void>;

  /**
   * Sends a frame that lies in `slot` with `FRAME_HEADER_BYTES` free bytes before the body; the
   * channel writes the header into them. Resolves when the slot may be reused.
   */
  sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void>;

  /**
   * Ends gracefully: all that was sent is delivered, then the connection is closed. Resolves when
   * the peer has closed too, or after a few seconds. For a file it rejects with E_FILE when the
   * file could not be completed.
   */
  end(): Promise<void>;
  /**
   * Ends at once; both sides see an error. Idempotent. What was sent just before may be lost: to
   * tell the peer why, `send` and `end`.
   */
  destroy(error?: SternaError): void;
}

export interface SlotFrame {
  readonly type: MessageType;
  /** RAM block of the pages in the frame. */
  readonly block: number;
  readonly bodyBytes: number;
  /** Length of the checked tail of the body, and its CRC32C (protocol.md, Frame). */
  readonly checkedBytes: number;
  readonly checkedCrc: number;
}

export interface FrameSink {
  /**
   * Where the body goes: a view of at least `bodyBytes + FRAME_HEADER_BYTES` bytes (the next header
   * is read in the same call), or an error that ends the channel. The header has already been
   * checked, its lengths are within limits.
   */
  place(header: FrameHeader): Uint8Array | SternaError;
  /**
   * One whole frame, its checked tail verified unless `header.type` carries pages (the kernel does
   * that). `body` is valid until the call returns. Throwing a SternaError ends the channel.
   */
  frame(header: FrameHeader, body: Uint8Array): void;
  /**
   * Something that must settle before the next frame can be handled. A transport that pulls (a
   * file) waits for it; a peer waits for the answer by itself.
   */
  ready?(): Promise<void> | undefined;
  /**
   * Called once: nothing more comes. No error: the peer ended the stream between two frames. When a
   * connection was left because of what came (it is malformed, or the sink refused it), the way to
   * the peer is still open: say why, then `end`.
   */
  closed(error: SternaError | undefined): void;
}
