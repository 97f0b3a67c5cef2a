import { assert } from '../../../../base/index.ts';
import { waitAsync } from '../../../../guestmem/index.ts';

const HEADER_BYTES = 64;
/** Bytes ever written and ever read; they wrap, and differ by what is in the ring. */
const WRITTEN = 0;
const READ = 4;
/** The producer found the ring full, and wants to hear when it is not. */
const STARVED = 8;
const CAPACITY_BYTES_MAX = 2 ** 24;

/** Where a UART's bytes go: how many of them were taken. */
export interface SerialOutput {
  push(bytes: Uint8Array): number;
}

/** A line that is never busy: what nobody reads in time is lost. */
export function lossyOutput(ring: SerialRing): SerialOutput {
  return {
    push: (bytes) => {
      ring.push(bytes);
      return bytes.length;
    },
  };
}

/**
 * Bytes of a serial line on their way between threads: one producer, one consumer. The UART has
 * one for each direction; the main thread, which owns terminal, sockets and files, has the other
 * ends. (All vCPU workers are one end together: they enter under the board's lock.)
 *
 *   byte 0 bytes written · 16 bytes read · 32 1: the producer wants room · 64 the bytes
 *
 * The producer stores bytes and then WRITTEN; the consumer loads WRITTEN and then bytes. In the
 * other direction the consumer copies bytes and then stores READ; the producer loads READ before it
 * stores bytes there.
 */
export class SerialRing {
  readonly shared: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.words = new Int32Array(shared, 0, HEADER_BYTES / 4);
    this.bytes = new Uint8Array(shared, HEADER_BYTES);
  }

  /** The capacity is a power of two, so that the counters may wrap. */
  static allocate(capacityBytes: number): SerialRing {
    const isPowerOfTwo = (capacityBytes & (capacityBytes - 1)) === 0;
    assert(
      isPowerOfTwo && capacityBytes > 0 && capacityBytes <= CAPACITY_BYTES_MAX,
      'The capacity of a serial ring is not a power of two',
    );
    return new SerialRing(new SharedArrayBuffer(HEADER_BYTES + capacityBytes));
  }

  get capacityBytes(): number {
    return this.bytes.length;
  }

  /** Bytes in the ring. */
  get length(): number {
    return (this.written() - this.read()) >>> 0;
  }

  /** Bytes that can be written now. */
  get room(): number {
    return this.capacityBytes - this.length;
  }

  // The producer's side.

  /** Writes as many as there is room for; returns how many. When not all, it asks for room. */
  push(bytes: Uint8Array): number {
    let count = Math.min(bytes.length, this.room);
    if (count < bytes.length) {
      // Pairs with the exchange in consume(): either it sees this, or room() below sees what it
      // took away.
      Atomics.store(this.words, STARVED, 1);
      count = Math.min(bytes.length, this.room);
    }
    const written = this.written();
    if (count > 0) {
      const start = this.at(written);
      const first = Math.min(count, this.capacityBytes - start);
      this.bytes.set(bytes.subarray(0, first), start);
      this.bytes.set(bytes.subarray(first, count), 0);
      // After the bytes. Pairs with the load in written(), and the wait in whenReadable().
      Atomics.store(this.words, WRITTEN, (written + count) | 0);
      Atomics.notify(this.words, WRITTEN);
    }
    return count;
  }

  /** Resolves when the consumer has made room; undefined when there is room already. */
  whenWritable(timeoutMs?: number): Promise<string> | undefined {
    const read = this.read();
    if (this.room > 0) return undefined;
    // Pairs with the store and the notify in consume().
    return waitAsync(this.words, READ, read, timeoutMs);
  }

  // The consumer's side.

  /** A copy of up to `max` bytes, which stay in the ring. */
  peek(max: number): Uint8Array {
    const count = Math.min(max, this.length);
    const start = this.at(this.read());
    const first = Math.min(count, this.capacityBytes - start);
    const copy = new Uint8Array(count);
    copy.set(this.bytes.subarray(start, start + first));
    copy.set(this.bytes.subarray(0, count - first), first);
    return copy;
  }

  /** Takes up to `max` bytes away, and wakes a producer that waits for room. */
  pull(max: number): { readonly bytes: Uint8Array; readonly producerWaits: boolean } {
    const bytes = this.peek(max);
    return { bytes, producerWaits: this.consume(bytes.length) };
  }

  /** Resolves when there are bytes; undefined when there are some already. */
  whenReadable(timeoutMs?: number): Promise<string> | undefined {
    const written = this.written();
    if (this.length > 0) return undefined;
    // Pairs with the store and the notify in push().
    return waitAsync(this.words, WRITTEN, written, timeoutMs);
  }

  /** True when the producer had found the ring full: somebody has to call it. */
  private consume(count: number): boolean {
    if (count === 0) return false;
    // After the bytes were copied. Pairs with the load in read(), and the wait in whenWritable().
    Atomics.store(this.words, READ, (this.read() + count) | 0);
    Atomics.notify(this.words, READ);
    // Pairs with the store in push().
    return Atomics.exchange(this.words, STARVED, 0) === 1;
  }

  private written(): number {
    // Pairs with the store in push().
    return Atomics.load(this.words, WRITTEN);
  }

  private read(): number {
    // Pairs with the store in consume().
    return Atomics.load(this.words, READ);
  }

  private at(count: number): number {
    return (count & (this.capacityBytes - 1)) >>> 0;
  }
}
