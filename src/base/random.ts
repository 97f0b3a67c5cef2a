/** A small seeded generator (xorshift32): runs with one seed are repeatable. Not for secrets. */
export class Random {
  private state: number;

  constructor(seed: number) {
    // Zero is the one fixed point of xorshift.
    this.state = seed >>> 0 || 0x9e3779b9;
  }

  /** Uniform in [0, 2^32). */
  uint32(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  /** Uniform in [0, bound). */
  below(bound: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * bound);
  }
}
