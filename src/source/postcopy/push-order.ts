import type { PostcopyOrder } from '../../base/index.ts';
import type { GuestMemory, RamBlock } from '../../guestmem/index.ts';

/** Older faults tell less of where the guest is now (Hines 2009 keeps a few; 8 cost nothing). */
const PIVOTS_MAX = 8;
/** A fault so close to an edge is of the guest that has caught up with it. */
const NEAR_PAGES = 64;
/** Of the pages around a fault. Who goes one way may turn round. */
const SHARE_BELOW = { both: 1 / 2, up: 1 / 4, down: 3 / 4 } as const;
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
  /** The guest goes that way, as far as is known. */
  course: 'both' | 'up' | 'down';
}

/**
 * In which order missing pages go that nobody waits for. `bubbling`: outward from recent faults,
 * because a guest that touched a page touches its neighbours next (Hines and Gopalan 2009). Every
 * second turn is that of the latest fault, every fourth that of the one before: where the guest was
 * must not take the link from where it is. A fault at the edge of what was taken around an earlier
 * one is no new place: the guest has come as far, and what lies ahead of it goes. Where there was
 * no fault, the pages that pre-copy saw dirtied most often, then all others. `sequential`:
 * ascending, whatever the guest does; the yardstick.
 *
 * What is missing is the dirty bitmap: whoever takes a page clears its bit, so none goes twice.
 */
export class PushOrder {
  private readonly blocks: readonly RamBlock[];
  private readonly order: PostcopyOrder;
  /** The latest fault's first. */
  private pivots: Pivot[] = [];
  private turn = 0;
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
    const index = this.pivots.findIndex((pivot) => pivot.block === block && reaches(pivot, pfn));
    const [pivot] = index < 0 ? [] : this.pivots.splice(index, 1);
    this.pivots.unshift(pivot ?? { block, up: pfn + 1, down: pfn, course: 'both' });
    this.pivots.length = Math.min(this.pivots.length, PIVOTS_MAX);
  }

  /** Where the next pages are taken, as far as is known now; undefined when all were taken. */
  nextBlock(): RamBlock | undefined {
    return this.pivots[this.nextPivot]?.block ?? this.blocks[this.blockIndex];
  }

  /**
   * Moves up to `max` pages of `nextBlock()` to the list of its next gather. 0: look again, the
   * next pages may be in another block.
   */
  take(max: number): number {
    const index = this.nextPivot;
    const pivot = this.pivots[index];
    if (pivot === undefined) return this.takeFurther(max);
    this.turn += 1;
    const count = this.takeAround(pivot, max);
    if (count === 0) this.pivots.splice(index, 1);
    return count;
  }

  /** From the beginning: pages that had been taken are missing again. */
  restart(): void {
    this.pivots = [];
    this.level = this.order === 'sequential' ? HEAT_LEVELS.length : 0;
    this.blockIndex = 0;
    this.cursor = 0;
  }

  /** How often the number of turns can be halved: 0 every second time, 1 every fourth. */
  private get nextPivot(): number {
    const halvings = 31 - Math.clz32(~this.turn & (this.turn + 1));
    return Math.min(halvings, this.pivots.length - 1);
  }

  private takeAround(pivot: Pivot, max: number): number {
    const below = Math.floor(max * SHARE_BELOW[pivot.course]);
    let count = this.takeDown(pivot, below, 0);
    count += this.takeUp(pivot, max - count, count);
    // Nothing is left above.
    return count + this.takeDown(pivot, max - count, count);
  }

  private takeUp(pivot: Pivot, max: number, listOffset: number): number {
    const { block, up } = pivot;
    const taken = block.takeDirty(up, block.layout.pageCount, max, listOffset);
    pivot.up = taken.next;
    return taken.count;
  }

  private takeDown(pivot: Pivot, max: number, listOffset: number): number {
    const taken = pivot.block.takeDirtyDown(pivot.down, 0, max, listOffset);
    pivot.down = taken.next;
    return taken.count;
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

/** Whether the page is of the pivot: within what it has taken, or at an edge, which then leads. */
function reaches(pivot: Pivot, pfn: number): boolean {
  if (pfn < pivot.down - NEAR_PAGES || pfn >= pivot.up + NEAR_PAGES) return false;
  const isUpper = pivot.up - pfn <= NEAR_PAGES;
  const isLower = pfn - pivot.down < NEAR_PAGES;
  // Where both are near, nothing is known yet but of a page beyond one of them.
  if (isUpper && (!isLower || pfn >= pivot.up)) pivot.course = 'up';
  if (isLower && (!isUpper || pfn < pivot.down)) pivot.course = 'down';
  return true;
}
