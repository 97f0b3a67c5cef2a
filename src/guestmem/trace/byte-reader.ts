import { traceError } from './trace.ts';

const VARINT_BYTES_MAX = 8;

/** Reads what ByteWriter wrote; every step past the end or out of range is E_TRACE, with where. */
export class ByteReader {
  private readonly bytes: Buffer;
  private readonly baseBytes: number;
  private at = 0;

  /** `baseBytes`: where `bytes` begin in the file. */
  constructor(bytes: Uint8Array, baseBytes: number) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.baseBytes = baseBytes;
  }

  /** Of the next byte, in the file. */
  get offsetBytes(): number {
    return this.baseBytes + this.at;
  }

  get leftBytes(): number {
    return this.bytes.length - this.at;
  }

  u8(what: string): number {
    return this.take(1, what)[0] as number;
  }

  u32(what: string): number {
    return this.take(4, what).readUInt32LE();
  }

  /** Throws E_TRACE for more than `max`. */
  varint(what: string, max: number): number {
    const { offsetBytes } = this;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX; count += 1) {
      const byte = this.u8(what);
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte >= 0x80) continue;
      if (value <= max) return value;
      break;
    }
    throw traceError(`Trace has an impossible ${what}`, { offsetBytes, max });
  }

  take(count: number, what: string): Buffer {
    const { offsetBytes } = this;
    if (count > this.leftBytes) {
      throw traceError(`Trace ends inside of its ${what}`, {
        offsetBytes,
        missing: count - this.leftBytes,
      });
    }
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** Throws E_TRACE when something follows. */
  end(what: string): void {
    if (this.leftBytes === 0) return;
    const { offsetBytes, leftBytes } = this;
    throw traceError(`Trace has more in its ${what} than belongs there`, {
      offsetBytes,
      leftBytes,
    });
  }
}
