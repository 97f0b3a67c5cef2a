/** Of the registers of a vCPU. */
export const TRANSACTION_BYTES = 32;

/**
 * The transaction that a vCPU of an `erp` works on, part of its registers. While it is active the
 * vCPU has accessed some of its records and not committed it.
 *
 *   byte 0 active · 4 session · 8 number · 12 accesses left (u32 each) · 16 zero
 *   · 24 committed since the start of the guest (f64)
 */
export class TransactionRegisters {
  private readonly words: Uint32Array;
  private readonly counters: Float64Array;

  constructor(buffer: ArrayBufferLike, byteOffset: number) {
    this.words = new Uint32Array(buffer, byteOffset, 6);
    this.counters = new Float64Array(buffer, byteOffset + 24, 1);
  }

  get isActive(): boolean {
    return this.words[0] !== 0;
  }

  get session(): number {
    return this.words[1] ?? 0;
  }

  get number(): number {
    return this.words[2] ?? 0;
  }

  get accessesLeft(): number {
    return this.words[3] ?? 0;
  }

  set accessesLeft(count: number) {
    this.words[3] = count;
  }

  get committed(): number {
    return this.counters[0] ?? 0;
  }

  begin(session: number, number: number, accesses: number): void {
    this.words.set([1, session, number, accesses]);
  }

  commit(): void {
    this.words.fill(0);
    this.counters[0] = this.committed + 1;
  }

  /** As in a guest that has no transactions. */
  get isZero(): boolean {
    return this.committed === 0 && this.words.every((word) => word === 0);
  }

  /** True when the bytes that have no meaning are zero, and the others can be. */
  isWellFormed(): boolean {
    const [active = 0, session, number, left, ...reserved] = this.words;
    const isIdle = session === 0 && number === 0 && left === 0;
    return (
      reserved.every((word) => word === 0) &&
      Number.isSafeInteger(this.committed) &&
      this.committed >= 0 &&
      (active === 1 ? number !== 0 : active === 0 && isIdle)
    );
  }
}
