import type { Clock } from '../base/index.ts';
import { type ControlBlock, PAUSE_MASK } from './control-block.ts';

/**
 * The guest's time: it counts while the guest may run, stands still while it is paused, crosses
 * with the guest and never jumps back. One shared 64-bit word holds it, so that each change is one
 * compare-exchange and a reader needs no lock:
 *
 *   stopped: nanoseconds * 2     running: (host time at guest time zero, nanoseconds) * 2 + 1
 */
export class GuestClock {
  private readonly block: ControlBlock;
  private readonly clock: Clock;

  constructor(block: ControlBlock, clock: Clock) {
    this.block = block;
    this.clock = clock;
  }

  nowNs(): bigint {
    return this.guestNs(this.read());
  }

  nowMs(): number {
    return Number(this.nowNs() / 1000n) / 1000;
  }

  /**
   * Stops or starts the clock as the pause mask says; called after each change of the mask. When
   * two threads change the mask at once, the one whose step came last looks at the mask again after
   * it, so the clock ends as the mask does.
   */
  follow(): void {
    for (;;) {
      const paused = this.isPaused();
      const word = this.read();
      const stopped = (word & 1n) === 0n;
      if (paused !== stopped && !this.replace(word, paused)) continue;
      if (this.isPaused() === paused) return;
    }
  }

  /** Sets the time. Only while the guest is paused. */
  set(nanoseconds: bigint): void {
    // Pairs with the load in read().
    Atomics.store(this.block.clockWord, 0, nanoseconds * 2n);
  }

  private replace(word: bigint, stop: boolean): boolean {
    const guestNs = this.guestNs(word);
    const next = stop ? guestNs * 2n : (this.hostNs() - guestNs) * 2n + 1n;
    // Pairs with the load in read(); fails when another thread was faster.
    return Atomics.compareExchange(this.block.clockWord, 0, word, next) === word;
  }

  private guestNs(word: bigint): bigint {
    return (word & 1n) === 0n ? word >> 1n : this.hostNs() - (word >> 1n);
  }

  private read(): bigint {
    // Pairs with the compare-exchange in replace() and the store in set().
    return Atomics.load(this.block.clockWord, 0);
  }

  private isPaused(): boolean {
    // Pairs with the or/and in VcpuControl.
    return Atomics.load(this.block.words, PAUSE_MASK) !== 0;
  }

  private hostNs(): bigint {
    return BigInt(Math.round(this.clock.nowMs() * 1000)) * 1000n;
  }
}
