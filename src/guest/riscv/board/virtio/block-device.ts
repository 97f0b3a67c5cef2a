import type { Drive } from '../drive/drive.ts';
import { type BlockAnswer, BlockRequest } from './block-request.ts';
import type { DescriptorChain } from './descriptor-chain.ts';
import { type VirtioDevice, type VirtioRequest, VirtioViolation } from './virtio-device.ts';
import { QUEUE_SIZE_MAX } from './virtqueue.ts';

export const SECTOR_BYTES = 512;

const SIZE_MAX = 1n << 1n;
const SEG_MAX = 1n << 2n;
const READ_ONLY = 1n << 5n;
const BLOCK_SIZE = 1n << 6n;
const FLUSH = 1n << 9n;

/** The driver is told both; together they bound a request, which nobody may interrupt. */
const SEGMENT_BYTES_MAX = 64 * 1024;
/** All of a queue but the header and the status. */
const SEGMENT_COUNT_MAX = QUEUE_SIZE_MAX - 2;
const REQUEST_BYTES_MAX = SEGMENT_BYTES_MAX * SEGMENT_COUNT_MAX;

const IN = 0;
const OUT = 1;
const FLUSH_REQUEST = 4;
const GET_ID = 8;
const ID_BYTES = 20;

const OK = 0;
const IO_ERROR = 1;
const UNSUPPORTED = 2;

/** virtio-blk over a drive. The cache is the host's: what a driver must not lose, it flushes. */
export class BlockDevice implements VirtioDevice {
  readonly deviceId = 2;
  readonly features: bigint;
  readonly queueCount = 1;
  readonly config: Uint8Array;
  private readonly drive: Drive;
  private readonly serial: string;

  constructor(drive: Drive, serial: string) {
    this.drive = drive;
    this.serial = serial;
    this.features = SIZE_MAX | SEG_MAX | BLOCK_SIZE | FLUSH | (drive.isReadOnly ? READ_ONLY : 0n);
    this.config = new Uint8Array(24);
    const view = new DataView(this.config.buffer);
    view.setBigUint64(0, BigInt(drive.capacityBytes / SECTOR_BYTES), true);
    view.setUint32(8, SEGMENT_BYTES_MAX, true);
    view.setUint32(12, SEGMENT_COUNT_MAX, true);
    view.setUint32(20, SECTOR_BYTES, true);
  }

  prepare(chain: DescriptorChain): VirtioRequest {
    const request = BlockRequest.read(chain);
    if (request === undefined) throw new VirtioViolation('A request without header or status');
    switch (request.type) {
      case IN:
        return request.answer(this.readSectors(request));
      case OUT:
        return request.answer(this.writeSectors(request));
      case FLUSH_REQUEST:
        return request.answer({ run: () => (this.drive.flush() ? OK : IO_ERROR) });
      case GET_ID:
        return request.answer(this.identify(request));
      default:
        return request.answer({ run: () => UNSUPPORTED });
    }
  }

  private readSectors(request: BlockRequest): BlockAnswer {
    const length = request.answerBytes;
    if (!this.isRange(request.sector, length)) return { run: () => IO_ERROR };
    return {
      writtenBytes: length,
      run: () => {
        for (const { offset, count } of parts(length)) {
          const bytes = this.drive.read(Number(request.sector) * SECTOR_BYTES + offset, count);
          if (bytes === undefined) return IO_ERROR;
          request.write(offset, bytes);
        }
        return OK;
      },
    };
  }

  private writeSectors(request: BlockRequest): BlockAnswer {
    const length = request.dataBytes;
    if (this.drive.isReadOnly || !this.isRange(request.sector, length)) {
      return { run: () => IO_ERROR };
    }
    return {
      readBytes: length,
      run: () => {
        for (const { offset, count } of parts(length)) {
          const position = Number(request.sector) * SECTOR_BYTES + offset;
          if (!this.drive.write(position, request.data(offset, count))) return IO_ERROR;
        }
        return OK;
      },
    };
  }

  private identify(request: BlockRequest): BlockAnswer {
    const bytes = new Uint8Array(Math.min(request.answerBytes, ID_BYTES));
    bytes.set(Buffer.from(this.serial, 'latin1').subarray(0, bytes.length));
    return {
      writtenBytes: bytes.length,
      run: () => {
        request.write(0, bytes);
        return OK;
      },
    };
  }

  /** In 64 bits: a sector of a hostile driver is any. */
  private isRange(sector: bigint, length: number): boolean {
    const end = sector * BigInt(SECTOR_BYTES) + BigInt(length);
    const isWhole = length % SECTOR_BYTES === 0 && length <= REQUEST_BYTES_MAX;
    return isWhole && end <= BigInt(this.drive.capacityBytes);
  }
}

/** A request in pieces of a buffer's size. */
function parts(length: number): { readonly offset: number; readonly count: number }[] {
  return Array.from({ length: Math.ceil(length / SEGMENT_BYTES_MAX) }, (_, index) => {
    const offset = index * SEGMENT_BYTES_MAX;
    return { offset, count: Math.min(SEGMENT_BYTES_MAX, length - offset) };
  });
}
