import type { PostcopyOrder } from '../../base/index.ts';
import type { GuestMemory, RamBlock } from '../../guestmem/index.ts';

/** Older faults tell less of where the guest is now (Hines 2009 keeps a few; 8 cost nothing). */
const PIVOTS_MAX = 8;
/**
 * Dirtied in so many syncs, of which an ordered pass has up to 64; what pre-copy never saw dirty
 * has no heat, and comes last.
 */
const HEAT_LEVELS = [128, 64, 32, 16, 8, 4, 2] as const;

/** A fault, and how far the pages around it have been taken. */
interface Pivot {
  readonly block: RamBlock;
  /** Pages from here on upwards are next, and those below `down`. */
  up: number;
  down: number;
}

/**
 * In which order missing pages go that nobody waits for. `bubbling`: outward from recent faults,
 * each in turn, because a guest that touched a page touches its neighbours next (Hines and Gopalan
 * 2009); where there was no fault, the pages that pre-copy saw dirtied most often, then all others.
 * `sequential`: ascending, whatever the guest does; the yardstick.
 *
 * What is missing is the dirty bitmap: whoever takes a page clears its bit, so none goes twice.
 */
export class PushOrder {
  private readonly blocks: readonly RamBlock[];
  private readonly order: PostcopyOrder;
  /** The next to be served first. */
  private pivots: Pivot[] = [];
  private level = 0;
  private blockIndex = 0;
  private cursor = 0;

  constructor(memory: GuestMemory, order: PostcopyOrder) {
    this.blocks = memory.blocks;
    this.order = order;
    if (order === 'sequential') this.level = HEAT_LEVELS.length;
  }

  /** A vCPU waits for the page, or did. */
  faulted(block: RamBlock, pfn: number): void {
    if (this.order === 'sequential') return;
    this.pivots.unshift({ block, up: pfn + 1, down: pfn });
    this.pivots.length = Math.min(this.pivots.length, PIVOTS_MAX);
  }

  /** Where the next pages are taken, as far as is known now; undefined when all were taken. */
  nextBlock(): RamBlock | undefined {
    return this.pivots[0]?.block ?? this.blocks[this.blockIndex];
  }

  /**
   * Moves up to `max` pages of `nextBlock()` to the list of its next gather. 0: look again, the
   * next pages may be in another block.
   */
  take(max: number): number {
    const [pivot] = this.pivots;
    return pivot === undefined ? this.takeFurther(max) : this.takeAround(pivot, max);
  }

  /** From the beginning: pages that had been taken are missing again. */
  restart(): void {
    this.pivots = [];
    this.level = this.order === 'sequential' ? HEAT_LEVELS.length : 0;
    this.blockIndex = 0;
    this.cursor = 0;
  }

  private takeAround(pivot: Pivot, max: number): number {
    const { block } = pivot;
    const below = Math.floor(max / 2);
    const down = block.takeDirtyDown(pivot.down, 0, below, 0);
    pivot.down = down.next;
    const up = block.takeDirty(pivot.up, block.layout.pageCount, max - down.count, down.count);
    pivot.up = up.next;
    this.pivots.shift();
    const count = down.count + up.count;
    if (count > 0) this.pivots.push(pivot);
    return count;
  }

  private takeFurther(max: number): number {
    const block = this.blocks[this.blockIndex];
    if (block === undefined) return 0;
    const level = HEAT_LEVELS[this.level];
    const taken =
      level === undefined
        ? block.takeDirty(this.cursor, max)
        : block.takeHottest(level, this.cursor, max);
    this.cursor = taken.next;
    if (taken.count === 0 || this.cursor >= block.layout.pageCount) this.nextStretch();
    return taken.count;
  }

  /** The next block, or the first one at the next level. */
  private nextStretch(): void {
    this.cursor = 0;
    this.blockIndex += 1;
    if (this.blockIndex < this.blocks.length || this.level >= HEAT_LEVELS.length) return;
    this.blockIndex = 0;
    this.level += 1;
  }
}
