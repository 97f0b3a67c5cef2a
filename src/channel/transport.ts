import { type Clock, SternaError } from '../base/index.ts';
import type { ReadTarget } from './frame-reader.ts';

/**
 * What one kind of connection must be able to do: move bytes. `FrameChannel` makes a Channel of it.
 */
export interface Transport {
  readonly duplex: boolean;
  /** Begins to read. Called at most once. */
  startReading(): void;
  /**
   * Takes `bytes`, which begin with a frame header; the calls' order is the order on the wire.
   * `done` is called once: without an error when the memory of `bytes` may be reused.
   */
  write(bytes: Uint8Array, done: (error?: SternaError) => void): void;
  /**
   * Delivers all that was written, then closes. Resolves when that is done or, for a connection,
   * after a bounded time; rejects only where nobody else could tell that it failed (a file that
   * could not be completed).
   */
  end(): Promise<void>;
  /**
   * Closes at once, so that the peer sees an error where the transport can show one. Idempotent.
   */
  reset(): void;
}

/** What a transport reports. After `ended` or `failed` it reports nothing more that matters. */
export interface TransportEvents extends ReadTarget {
  /** The peer ended its stream. */
  ended(): void;
  failed(error: SternaError): void;
  /** What a transport that pulls waits for before it reads on. */
  ready(): Promise<void> | undefined;
}

/**
 * How long the end of a connection may take: the last bytes are taken, and the peer closes its side
 * too. Whatever matters was answered by a message before, so nothing is lost when this is over.
 */
const END_LIMIT_MS = 5000;

/** Waits until a connection is `over`; fails it when that takes too long. Never rejects. */
export async function endWithinLimit(
  clock: Clock,
  over: Promise<unknown>,
  fail: (error: SternaError) => void,
): Promise<void> {
  const done = new AbortController();
  const limit = clock.sleep(END_LIMIT_MS, done.signal).then(() => {
    if (done.signal.aborted) return;
    fail(new SternaError('E_CHANNEL_TIMEOUT', 'The peer did not close the connection'));
  });
  await Promise.race([over, limit]);
  done.abort();
}
