import { assert } from '../../../base/index.ts';
import { type BoardBlock, LOCK } from './board-block.ts';

const FREE = 0;
const HELD = 1;
/** Held, and somebody may sleep until it is free. */
const CONTENDED = 2;
/** Only a net under the notifications. */
const RECHECK_MS = 100;

/**
 * The lock of the board block: at most one thread is in the devices. A worker holds it for an MMIO
 * access or one `poll`. A poll may wait for a missing page while it holds it; no pause waits for
 * that, because a vCPU that is called to its safepoint is thrown out of the wait, and the lock is
 * freed on the way.
 */
export class BoardLock {
  private readonly words: Int32Array;
  private isInside = false;

  constructor(block: BoardBlock) {
    this.words = block.atomics;
  }

  /** Runs `body` alone. It must not come back here: neither may the callbacks of the board. */
  run<Result>(body: () => Result): Result {
    assert(!this.isInside, 'A callback of the board entered the board');
    this.acquire();
    this.isInside = true;
    try {
      return body();
    } finally {
      this.isInside = false;
      this.release();
    }
  }

  private acquire(): void {
    // Pairs with the exchange in release(): what the last holder stored is seen.
    if (Atomics.compareExchange(this.words, LOCK, FREE, HELD) === FREE) return;
    // Pairs with the exchange in release(), which notifies when it finds CONTENDED.
    while (Atomics.exchange(this.words, LOCK, CONTENDED) !== FREE) {
      Atomics.wait(this.words, LOCK, CONTENDED, RECHECK_MS);
    }
  }

  private release(): void {
    // Pairs with the compare-exchange and the exchange in acquire().
    if (Atomics.exchange(this.words, LOCK, FREE) === CONTENDED) {
      Atomics.notify(this.words, LOCK, 1);
    }
  }
}
