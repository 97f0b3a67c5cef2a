import type { PauseReason } from './machine.ts';

/**
 * The shared words through which vCPUs and those who steer them meet, and who writes each.
 *
 *   byte   0  PAUSE_MASK       reasons to stand still, a bit each    requesters: or, and
 *          4  FLIP_REQUEST     number of the newest flip             the flipper: add
 *          8  WAKE             number of the newest request          requesters: add, notify
 *         12  HEARTBEAT_EPOCH  number of the observation window      requesters: add
 *         16  POSTCOPY         1 while pages may be missing          the destination: store
 *         64  PROGRESS         number of the newest change below     who changes it: add, notify
 *        128  guest clock      i64, see guest-clock.ts               requesters: compare-exchange
 *        192  the first vCPU, 128 bytes each:
 *
 *     +   0  STATE       a VCPU_STATE        the vCPU; `flipping`: the flipper; `dead`: the owner
 *     +   4  FLIP_DONE   its newest flip     the vCPU; while it is `flipping`: the flipper
 *     +   8  THROTTLE    percent asleep      requesters: store
 *     +  12  FAULT_PAGE  page it lacks + 1   the vCPU; 0 again: who brings the page
 *     +  16  BEAT_EPOCH  window of its beats the vCPU
 *     +  20  STEPS       since start, wraps  the vCPU
 *     +  32  first beat, last beat, longest gap: f64 milliseconds, the vCPU
 *
 * Each vCPU has cache lines of its own, so that its heartbeat does not slow the others.
 */
export class ControlBlock {
  readonly shared: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly clockWord: BigInt64Array;
  readonly vcpuCount: number;
  private readonly times: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.words = new Int32Array(shared);
    this.times = new Float64Array(shared);
    this.clockWord = new BigInt64Array(shared, CLOCK_BYTE, 1);
    this.vcpuCount = (shared.byteLength - VCPU_BYTE) / VCPU_BYTES;
  }

  /** All vCPUs `starting`, for the given reasons to stand still. */
  static allocate(vcpuCount: number, reasons: readonly PauseReason[]): ControlBlock {
    const block = new ControlBlock(new SharedArrayBuffer(VCPU_BYTE + vcpuCount * VCPU_BYTES));
    // Nobody else sees the block yet: no call pairs with this one.
    Atomics.store(block.words, PAUSE_MASK, pauseBits(reasons));
    return block;
  }

  /** Index into `words` of a word of a vCPU. */
  vcpuWord(vcpu: number, word: VcpuWord): number {
    return (VCPU_BYTE + vcpu * VCPU_BYTES) / 4 + word;
  }

  /** First beat, last beat and longest gap of a vCPU, as a view. */
  beats(vcpu: number): Float64Array {
    const first = (VCPU_BYTE + vcpu * VCPU_BYTES + BEATS_BYTE) / 8;
    return this.times.subarray(first, first + 3);
  }

  /** Tells everyone who waits for the vCPUs that something changed. */
  announceProgress(): void {
    // Pairs with the load and the wait in VcpuControl.until().
    Atomics.add(this.words, PROGRESS, 1);
    Atomics.notify(this.words, PROGRESS);
  }
}

const CLOCK_BYTE = 128;
const VCPU_BYTE = 192;
const VCPU_BYTES = 128;
const BEATS_BYTE = 32;

export const PAUSE_MASK = 0;
export const FLIP_REQUEST = 1;
export const WAKE = 2;
export const HEARTBEAT_EPOCH = 3;
export const POSTCOPY = 4;
export const PROGRESS = 16;

/** Words of one vCPU. */
export const STATE = 0;
export const FLIP_DONE = 1;
export const THROTTLE = 2;
export const FAULT_PAGE = 3;
export const BEAT_EPOCH = 4;
export const STEPS = 5;
export type VcpuWord = 0 | 1 | 2 | 3 | 4 | 5;

/** What a vCPU does. Only `running` touches guest memory. */
export const VCPU_STATE = { starting: 0, running: 1, parked: 2, flipping: 3, dead: 4 } as const;

const PAUSE_BITS: Readonly<Record<PauseReason, number>> = {
  operator: 1,
  migration: 2,
  ownership: 4,
};

/** The vCPUs end. A bit of the pause mask, so that it wakes whoever waits there. */
export const QUIT_BIT = 8;

export function pauseBits(reasons: readonly PauseReason[]): number {
  return reasons.reduce((bits, reason) => bits | PAUSE_BITS[reason], 0);
}

export function pauseReasons(mask: number): PauseReason[] {
  // Object.keys loses the key type; the keys are exactly PauseReason.
  return (Object.keys(PAUSE_BITS) as PauseReason[]).filter((reason) => mask & PAUSE_BITS[reason]);
}
