import { assert } from '../../base/index.ts';
import type { GuestMemory, RamBlock } from '../../guestmem/index.ts';

/** The sender's staging slots, the last one first to be used. */
const SLOTS = [4, 3, 1, 0];
/**
 * Two slots keep the socket busy while the next batch is made; a ring of more gained nothing
 * (docs/adr/0003), unless helpers of the codec have some, or several sockets.
 */
const IN_USE_MAX = 2;

/** Which slots of each block may be written. */
export class StagingSlots {
  private readonly free: number[][];

  constructor(memory: GuestMemory) {
    this.free = memory.blocks.map(() => [...SLOTS]);
  }

  /** `mayUseAll`: more than one thread or socket has some. */
  hasFree(block: RamBlock, mayUseAll: boolean): boolean {
    const max = mayUseAll ? SLOTS.length : IN_USE_MAX;
    return SLOTS.length - this.of(block).length < max;
  }

  take(block: RamBlock): number {
    const slot = this.of(block).pop();
    assert(slot !== undefined, 'Only who has asked for a free slot takes it');
    return slot;
  }

  release(block: RamBlock, slot: number): void {
    this.of(block).push(slot);
  }

  private of({ layout }: RamBlock): number[] {
    const free = this.free[layout.index];
    assert(free !== undefined, 'Slots exist for each block');
    return free;
  }
}
