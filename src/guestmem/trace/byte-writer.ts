const BYTES_START = 256;

/** Bytes that grow; numbers are little-endian, `varint` is LEB128. */
export class ByteWriter {
  private bytes = Buffer.alloc(BYTES_START);
  private length = 0;

  u8(value: number): void {
    this.reserve(1);
    this.length = this.bytes.writeUInt8(value, this.length);
  }

  u32(value: number): void {
    this.reserve(4);
    this.length = this.bytes.writeUInt32LE(value, this.length);
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    let left = value;
    while (left >= 0x80) {
      this.u8((left % 0x80) | 0x80);
      left = Math.floor(left / 0x80);
    }
    this.u8(left);
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Valid until the next write. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.view());
    this.bytes = grown;
  }
}
