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
 *        192  FAULTS           number of the newest wait for a page  vCPUs: add, notify
 *        200  all blocked      i64 x 2, see faults/fault-tally.ts    vCPUs: compare-exchange, add
 *        256  LATENCY_STEPS    192 i32, how long faults took         vCPUs: add
 *       1024  the first vCPU, 128 bytes each:
 *
 *     +   0  STATE          a VCPU_STATE       the vCPU; `flipping`: the flipper; `dead`: the owner
 *     +   4  FLIP_DONE      its newest flip    the vCPU; while it is `flipping`: the flipper
 *     +   8  THROTTLE       percent asleep     requesters: store
 *     +  12  BEAT_EPOCH     window of its beats the vCPU
 *     +  16  STEPS          since start, wraps the vCPU
 *     +  20  THROTTLE_BY_LIMIT, the same for a dirty limit           requesters: store
 *     +  24  BUSY           milliseconds of guest code: f64       the vCPU
 *     +  32  first beat, last beat, longest gap: f64 milliseconds, the vCPU
 *     +  64  FAULT_PAGE     page it lacks + 1  the vCPU; 0: it waits for none
 *     +  68  FAULT_NUMBER   of its newest wait the vCPU
 *     +  72  FAULT_SEQUENCE number of the newest reason to look up   requesters: add, notify
 *     +  80  faults, milliseconds blocked, start of the wait + 1 (0: none): f64, the vCPU
 *
 * Each vCPU has cache lines of its own, so that its heartbeat does not slow the others.
 */
export class ControlBlock {
  readonly shared: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly clockWord: BigInt64Array;
  /** What faults/fault-tally.ts says: how many vCPUs are blocked, and how long all were. */
  readonly blockedWords: BigInt64Array;
  readonly vcpuCount: number;
  private readonly times: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.words = new Int32Array(shared);
    this.times = new Float64Array(shared);
    this.clockWord = new BigInt64Array(shared, CLOCK_BYTE, 1);
    this.blockedWords = new BigInt64Array(shared, BLOCKED_BYTE, 2);
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

  /** Milliseconds of guest code of a vCPU, as a view. */
  busy(vcpu: number): Float64Array {
    return this.vcpuTimes(vcpu, BUSY_BYTE, 1);
  }

  /** First beat, last beat and longest gap of a vCPU, as a view. */
  beats(vcpu: number): Float64Array {
    return this.vcpuTimes(vcpu, BEATS_BYTE, 3);
  }

  /** Faults, milliseconds blocked and the start of the wait of a vCPU, as a view. */
  faultTimes(vcpu: number): Float64Array {
    return this.vcpuTimes(vcpu, FAULT_TIMES_BYTE, 3);
  }

  /** Tells everyone who waits for the vCPUs that something changed. */
  announceProgress(): void {
    // Pairs with the load and the wait in VcpuControl.until().
    Atomics.add(this.words, PROGRESS, 1);
    Atomics.notify(this.words, PROGRESS);
  }

  private vcpuTimes(vcpu: number, offset: number, count: number): Float64Array {
    const first = (VCPU_BYTE + vcpu * VCPU_BYTES + offset) / 8;
    return this.times.subarray(first, first + count);
  }
}

const CLOCK_BYTE = 128;
const BLOCKED_BYTE = 200;
const VCPU_BYTE = 1024;
const VCPU_BYTES = 128;
const BUSY_BYTE = 24;
const BEATS_BYTE = 32;
const FAULT_TIMES_BYTE = 80;

export const PAUSE_MASK = 0;
export const FLIP_REQUEST = 1;
export const WAKE = 2;
export const HEARTBEAT_EPOCH = 3;
export const POSTCOPY = 4;
export const PROGRESS = 16;
export const FAULTS = 48;
/** The first of the 192 steps of fault latencies, see faults/latency-steps.ts. */
export const LATENCY_STEPS = 64;

/** Words of one vCPU. */
export const STATE = 0;
export const FLIP_DONE = 1;
export const THROTTLE = 2;
export const BEAT_EPOCH = 3;
export const STEPS = 4;
export const THROTTLE_BY_LIMIT = 5;
export const FAULT_PAGE = 16;
export const FAULT_NUMBER = 17;
export const FAULT_SEQUENCE = 18;
export type VcpuWord = 0 | 1 | 2 | 3 | 4 | 5 | 16 | 17 | 18;

/** What a vCPU does. Only `running` touches guest memory. */
export const VCPU_STATE = { starting: 0, running: 1, parked: 2, flipping: 3, dead: 4 } as const;

const PAUSE_BITS: Readonly<Record<PauseReason, number>> = {
  operator: 1,
  migration: 2,
  ownership: 4,
  // 8 is QUIT_BIT.
  checkpoint: 16,
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
