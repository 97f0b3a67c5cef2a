import type { DescriptorChain } from './descriptor-chain.ts';
import type { VirtioRequest } from './virtio-device.ts';

const HEADER_BYTES = 16;

/** What a device does for a request, and how much RAM it touches for that. */
export interface BlockAnswer {
  /** Of the data that the driver gave; without it, none. */
  readonly readBytes?: number;
  /** Of the room that the driver gave, without the status; without it, none. */
  readonly writtenBytes?: number;
  /** Does it; returns the status. */
  run(): number;
}

/**
 * A request of virtio-blk: a header of 16 bytes and then data that the device reads; room that it
 * writes, and in the last byte of that the status. Buffers may be cut anywhere.
 */
export class BlockRequest {
  readonly type: number;
  readonly sector: bigint;
  /** Data behind the header. */
  readonly dataBytes: number;
  /** Room in front of the status. */
  readonly answerBytes: number;
  private readonly chain: DescriptorChain;

  private constructor(chain: DescriptorChain) {
    const header = new DataView(chain.readable.read(0, HEADER_BYTES).buffer);
    this.type = header.getUint32(0, true);
    this.sector = header.getBigUint64(8, true);
    this.dataBytes = chain.readable.length - HEADER_BYTES;
    this.answerBytes = chain.writable.length - 1;
    this.chain = chain;
  }

  /** Undefined: there is no whole header, or no place for a status. */
  static read(chain: DescriptorChain): BlockRequest | undefined {
    const isWhole = chain.readable.length >= HEADER_BYTES && chain.writable.length >= 1;
    return isWhole ? new BlockRequest(chain) : undefined;
  }

  data(offset: number, length: number): Uint8Array {
    return this.chain.readable.read(HEADER_BYTES + offset, length);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.chain.writable.write(offset, bytes);
  }

  /** The request as the transport runs it. */
  answer({ readBytes = 0, writtenBytes = 0, run }: BlockAnswer): VirtioRequest {
    const { readable, writable } = this.chain;
    return {
      touched: [
        ...readable.touched(HEADER_BYTES, readBytes, false),
        ...writable.touched(0, writtenBytes, true),
        ...writable.touched(this.answerBytes, 1, true),
      ],
      run: () => {
        writable.write(this.answerBytes, Uint8Array.of(run()));
        // The driver reads the status behind all of its room, so all of that counts as written.
        return this.answerBytes + 1;
      },
    };
  }
}
