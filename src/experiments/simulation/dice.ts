import { Random } from '../../base/index.ts';

/** Draws for plans: a {@link Random} whose neighbouring seeds have nothing in common. */
export class Dice {
  readonly random: Random;

  constructor(seed: number, purpose = 0) {
    this.random = new Random(
      Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) ^ Math.imul(purpose, 0x85ebca6b),
    );
    // The first numbers after a small seed are small.
    for (let i = 0; i < 8; i += 1) this.random.uint32();
  }

  /** Whole, uniform, both ends included. */
  between(min: number, max: number): number {
    return min + this.random.below(max - min + 1);
  }

  /**
   * Whole; each doubling is as likely as the next, so that small ones are common and large ones
   * happen.
   */
  scaled(min: number, max: number): number {
    const exponent = (this.random.uint32() / 2 ** 32) * Math.log(max / min);
    return Math.min(max, Math.round(min * Math.exp(exponent)));
  }

  chance(share: number): boolean {
    return this.random.uint32() / 2 ** 32 < share;
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.random.below(items.length)] ?? items[0];
  }
}
