import { TRANSACTION_BYTES, TransactionRegisters } from './service/transaction-registers.ts';

/**
 * What a vCPU is about. A vCPU that has filled its part waits for the others: their parts may be
 * its hot pages.
 */
export const PHASE = { filling: 0, filled: 1, running: 2 } as const;

export const REGISTER_BYTES = 256;
const TRANSACTION_BYTE = 48;

/**
 * All the architectural state of one workload vCPU, in shared memory outside the guest's RAM: what
 * is here crosses in a migration, and nothing else of the vCPU does. The vCPU writes it at the end
 * of each slice; `load` while it is parked.
 *
 *   byte 0 phase · 4 guest page to go on with · 8 random state · 12 zero
 *   · 16 writes (f64) · 24 reads (f64) · 32 ticks (f64)
 *   · 40 console marks (f64) · 48 transaction, see service/transaction-registers.ts · rest zero
 */
export class VcpuRegisters {
  readonly transaction: TransactionRegisters;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private readonly counters: Float64Array;

  constructor(buffer: ArrayBufferLike, byteOffset: number) {
    this.bytes = new Uint8Array(buffer, byteOffset, REGISTER_BYTES);
    this.words = new Int32Array(buffer, byteOffset, 4);
    this.counters = new Float64Array(buffer, byteOffset + 16, 4);
    this.transaction = new TransactionRegisters(buffer, byteOffset + TRANSACTION_BYTE);
  }

  get phase(): number {
    // Pairs with the store below: other vCPUs and waitBooted() read it while this one runs.
    return Atomics.load(this.words, 0);
  }

  set phase(phase: number) {
    // After all stores of the phase that ends. Pairs with the load above.
    Atomics.store(this.words, 0, phase);
  }

  get nextPfn(): number {
    return (this.words[1] ?? 0) >>> 0;
  }

  set nextPfn(pfn: number) {
    this.words[1] = pfn;
  }

  get random(): number {
    return (this.words[2] ?? 0) >>> 0;
  }

  set random(state: number) {
    this.words[2] = state;
  }

  get writes(): number {
    return this.counters[0] ?? 0;
  }

  set writes(count: number) {
    this.counters[0] = count;
  }

  get reads(): number {
    return this.counters[1] ?? 0;
  }

  set reads(count: number) {
    this.counters[1] = count;
  }

  get ticks(): number {
    return this.counters[2] ?? 0;
  }

  set ticks(count: number) {
    this.counters[2] = count;
  }

  get consoleMarks(): number {
    return this.counters[3] ?? 0;
  }

  set consoleMarks(count: number) {
    this.counters[3] = count;
  }

  /** A copy of all of it. */
  save(): Uint8Array {
    return this.bytes.slice();
  }

  load(bytes: Uint8Array): void {
    this.bytes.set(bytes);
  }

  /** True when the bytes that have no meaning are zero and the counters are counts. */
  isWellFormed(): boolean {
    const { bytes, transaction } = this;
    const rest = bytes.subarray(TRANSACTION_BYTE + TRANSACTION_BYTES);
    const reserved = [...bytes.subarray(12, 16), ...rest];
    const counts = [...this.counters];
    return (
      transaction.isWellFormed() &&
      reserved.every((byte) => byte === 0) &&
      counts.every((n) => Number.isSafeInteger(n) && n >= 0)
    );
  }
}
