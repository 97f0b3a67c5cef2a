import { HARTS_MAX, VIRTIO } from './address-map.ts';

/**
 * All state of the devices, in one SharedArrayBuffer that every vCPU worker has. Little-endian
 * words; plain loads and stores under the lock, but for the words that say otherwise.
 *
 *   byte    0  LOCK           see board-lock.ts                       atomic
 *           4  EVENT          see board-event.ts                      atomic
 *           8  EVENT_DETAIL   exit code of a failure                  before EVENT
 *          12  QUEUE_PENDING  bit 4 * slot + queue: notified          atomic
 *          16  RANDOM         4 words of a generator; all zero: the host's randomness is used
 *          64  the UART, 128 bytes, see uart.ts
 *         256  the PLIC, 512 bytes, see plic.ts
 *         768  the clock of the wall, 64 bytes, see rtc.ts
 *        1024  BACKLOG        input that came with the guest and waits for the UART's FIFO
 *        4096  virtio slots, 256 bytes each, see virtio/slot-state.ts
 */
export class BoardBlock {
  readonly shared: SharedArrayBuffer;
  readonly words: Uint32Array;
  /** The same memory for `Atomics`, whose waits need signed words. */
  readonly atomics: Int32Array;
  readonly bytes: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.words = new Uint32Array(shared);
    this.atomics = new Int32Array(shared);
    this.bytes = new Uint8Array(shared);
  }

  static allocate(): BoardBlock {
    return new BoardBlock(new SharedArrayBuffer(BOARD_BLOCK_BYTES));
  }

  /** The words of a region, as a view. */
  region({ byte, bytes }: BlockRegion): Uint32Array {
    return this.words.subarray(byte / 4, (byte + bytes) / 4);
  }
}

export interface BlockRegion {
  readonly byte: number;
  readonly bytes: number;
}

export const LOCK = 0;
export const EVENT = 1;
export const EVENT_DETAIL = 2;
export const QUEUE_PENDING = 3;

export const RANDOM_REGION: BlockRegion = { byte: 16, bytes: 16 };
export const UART_REGION: BlockRegion = { byte: 64, bytes: 128 };
export const PLIC_REGION: BlockRegion = { byte: 256, bytes: 512 };
export const RTC_REGION: BlockRegion = { byte: 768, bytes: 64 };
export const BACKLOG_REGION: BlockRegion = { byte: 1024, bytes: 3072 };

/** A slot has at most as many queues as it has bits in QUEUE_PENDING. */
export const QUEUES_PER_SLOT = 4;
export const SLOT_BYTES = 256;
const SLOTS_BYTE = 4096;

export function slotRegion(slot: number): BlockRegion {
  return { byte: SLOTS_BYTE + slot * SLOT_BYTES, bytes: SLOT_BYTES };
}

const BOARD_BLOCK_BYTES = SLOTS_BYTE + VIRTIO.slotCount * SLOT_BYTES;

/** Contexts of the PLIC: machine and supervisor mode of each hart. */
export const CONTEXTS_MAX = HARTS_MAX * 2;
