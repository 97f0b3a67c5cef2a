import {
  DETERMINISTIC,
  MENVCFG,
  MHARTID,
  MIE,
  MIP,
  PC,
  STATE_BYTES,
  STEPS,
  STIMECMP,
  TIME_BASE,
  WAITING,
  X_REGISTERS,
} from './hart/hart-layout.ts';
import { hartStateFault } from './hart-state-check.ts';

/** Ticks of the guest's time in a millisecond: 10 MHz. */
export const TICKS_PER_MS = 10_000;
const TICKS_PER_STEP = 10n;
/** Of `mie`, and of `menvcfg`. */
const TIMER_INTERRUPT = 1n << 5n;
const TIMER_COMPARED = 1n << 63n;
/** Of a timer: it never comes. */
export const NO_DEADLINE = 2n ** 64n - 1n;

/** What the machine says of a hart that its state must agree with. */
export interface HartIdentity {
  readonly hart: number;
  readonly deterministic: boolean;
}

/**
 * The architectural state of a hart, where its program keeps it: the first page of its area. The
 * offsets are those of `hart/hart-layout.ts`. Only while the hart does not run, but for `mip`.
 */
export class HartState {
  /** The word of pending interrupts, for atomics: devices change it too. */
  readonly pending: { readonly words: Int32Array; readonly index: number };
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(memory: ArrayBufferLike, address: number) {
    this.bytes = new Uint8Array(memory, address, STATE_BYTES);
    this.view = new DataView(memory, address, STATE_BYTES);
    this.pending = { words: new Int32Array(memory, address, STATE_BYTES / 4), index: MIP / 4 };
  }

  /** Time from the count of instructions. */
  set deterministic(is: boolean) {
    this.view.setUint32(DETERMINISTIC, is ? 1 : 0, true);
  }

  register(index: number): bigint {
    return this.view.getBigUint64(X_REGISTERS + index * 8, true);
  }

  setRegister(index: number, value: bigint): void {
    this.set64(X_REGISTERS + index * 8, value);
  }

  get pc(): bigint {
    return this.view.getBigUint64(PC, true);
  }

  /** Instructions so far, those that trapped included. */
  get steps(): bigint {
    return this.view.getBigUint64(STEPS, true);
  }

  get isWaiting(): boolean {
    return this.view.getUint32(WAITING, true) !== 0;
  }

  /** When the timer ends a wait, in ticks: only one that interrupts does. */
  get timerDeadline(): bigint {
    const enabled = this.view.getBigUint64(MIE, true) & TIMER_INTERRUPT;
    const isCompared = this.view.getBigUint64(MENVCFG, true) & TIMER_COMPARED;
    if (enabled === 0n || isCompared === 0n) return NO_DEADLINE;
    return this.view.getBigUint64(STIMECMP, true);
  }

  setTimer(ticks: bigint): void {
    this.set64(STIMECMP, ticks);
  }

  /** Deterministic: the time of the guest, in ticks. */
  get stepTime(): bigint {
    return this.view.getBigUint64(TIME_BASE, true) + this.steps / TICKS_PER_STEP;
  }

  /** Deterministic: nothing happens until then. */
  skipTo(ticks: bigint): void {
    const ahead = ticks - this.stepTime;
    if (ahead > 0n) this.set64(TIME_BASE, this.view.getBigUint64(TIME_BASE, true) + ahead);
  }

  save(): Uint8Array {
    return this.bytes.slice();
  }

  /** What {@link refuseHartState} has let through. */
  load(bytes: Uint8Array): void {
    this.bytes.set(bytes);
  }

  private set64(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }
}

/** What is wrong with a saved state of this hart, or undefined: it may come from a peer. */
export function refuseHartState(bytes: Uint8Array, machine: HartIdentity): string | undefined {
  const fault = hartStateFault(bytes);
  if (fault !== undefined) return `is damaged: ${fault}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, STATE_BYTES);
  if (view.getBigUint64(MHARTID, true) !== BigInt(machine.hart)) return 'is another hart';
  if (view.getUint32(DETERMINISTIC, true) !== (machine.deterministic ? 1 : 0)) {
    return 'has its time from elsewhere';
  }
  return undefined;
}
