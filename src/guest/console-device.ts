export const CONSOLE_BYTES = 2048;
const RING_BYTE = 8;
const RING_BYTES = CONSOLE_BYTES - RING_BYTE;

/**
 * The guest's only device: a console that keeps what was printed last. Its state crosses in a
 * migration. vCPU 0 prints on it (as QEMU's test guest does: `A` when it begins, `B` every 64
 * sweeps), so it has one writer.
 *
 *   byte 0 characters printed so far (u32, wraps) · 4 zero · 8 ring of the last 2040
 */
export class ConsoleDevice {
  private readonly bytes: Uint8Array;
  private readonly printed: Int32Array;

  constructor(buffer: ArrayBufferLike) {
    this.bytes = new Uint8Array(buffer, 0, CONSOLE_BYTES);
    this.printed = new Int32Array(buffer, 0, 1);
  }

  print(character: string): void {
    const count = (this.printed[0] ?? 0) >>> 0;
    this.bytes[RING_BYTE + (count % RING_BYTES)] = character.charCodeAt(0);
    this.printed[0] = count + 1;
  }

  /** The last characters, oldest first. */
  text(): string {
    const count = (this.printed[0] ?? 0) >>> 0;
    const kept = Math.min(count, RING_BYTES);
    return Array.from({ length: kept }, (_, index) =>
      String.fromCharCode(this.bytes[RING_BYTE + ((count - kept + index) % RING_BYTES)] ?? 0),
    ).join('');
  }

  save(): Uint8Array {
    return this.bytes.slice();
  }

  load(bytes: Uint8Array): void {
    this.bytes.set(bytes);
  }
}
