import type { Clock } from '../../base/index.ts';
import type { RamBlock } from '../block/ram-block.ts';
import {
  type ControlBlock,
  FAULT_NUMBER,
  FAULT_PAGE,
  FAULT_SEQUENCE,
  FAULTS,
  FLIP_DONE,
  FLIP_REQUEST,
  PAUSE_MASK,
} from '../control-block.ts';
import { FaultTally } from './fault-tally.ts';

/**
 * Thrown through a guest's program when a vCPU that waits for a page is asked for something else.
 * The access has not happened: the program's progress says where to repeat it.
 */
export class SliceInterrupted extends Error {
  override readonly name = 'SliceInterrupted';

  constructor() {
    super('A vCPU was called to its safepoint while it waited for a page');
  }
}

/** Only a net under the notifications. */
const RECHECK_MS = 100;

/**
 * The vCPU's side of post-copy: how it waits for a page, and how it is called away from it. What
 * brings pages and reads the faults is shared-page-faults.ts.
 *
 * Why no wake-up is lost. All words are sequentially consistent, and each pair is "store mine, then
 * load yours" on both sides, so at least one of the two sees the other:
 * - page: the vCPU stores FAULT_PAGE and then loads the received mark; the bringer stores the mark
 *   and then loads FAULT_PAGE. If the bringer sees no fault, the vCPU sees the mark.
 * - request: the vCPU loads PAUSE_MASK and FLIP_REQUEST after FAULT_SEQUENCE; a requester changes
 *   one of them and then adds to FAULT_SEQUENCE.
 * - wait: the vCPU loads FAULT_SEQUENCE *before* it looks at mark and requests, and waits only
 *   while the word still has that value. Who brings or requests something adds to it *after* that.
 *   So either the vCPU's look came after the change and saw it, or its value is old and the wait
 *   returns at once, or it waits already and the notify finds it.
 */
export class MissingPages {
  private readonly block: ControlBlock;
  private readonly vcpu: number;
  private readonly clock: Clock;
  private readonly tally: FaultTally;
  private readonly page: number;
  private readonly sequence: number;
  private totalMs = 0;

  constructor(block: ControlBlock, vcpu: number, clock: Clock) {
    this.block = block;
    this.vcpu = vcpu;
    this.clock = clock;
    this.tally = new FaultTally(block);
    this.page = block.vcpuWord(vcpu, FAULT_PAGE);
    this.sequence = block.vcpuWord(vcpu, FAULT_SEQUENCE);
  }

  /** For how long this vCPU has stood in `wait`, since its start. */
  get blockedMs(): number {
    return this.totalMs;
  }

  /**
   * Returns when the page of the block is there. Throws {@link SliceInterrupted} when it is not and
   * the vCPU shall pause, flip or end: so it reaches its safepoint also when no page ever comes.
   */
  wait(ram: RamBlock, pfn: number): void {
    if (ram.isReceived(pfn)) return;
    const page = ram.layout.firstPfn + pfn;
    this.tally.begin(this.vcpu, page, this.clock.nowMs());
    this.publish(page);
    const arrived = this.arrives(ram, pfn);
    // Pairs with the loads in SharedPageFaults.
    Atomics.store(this.block.words, this.page, 0);
    this.totalMs += this.tally.end(this.vcpu, this.clock.nowMs(), arrived);
    if (!arrived) throw new SliceInterrupted();
  }

  /** In this order: who reads a page between two equal numbers knows that they belong together. */
  private publish(page: number): void {
    const { words } = this.block;
    // All three pair with the loads in SharedPageFaults.tell(); the page also with wake().
    Atomics.add(words, this.block.vcpuWord(this.vcpu, FAULT_NUMBER), 1);
    Atomics.store(words, this.page, page + 1);
    Atomics.add(words, FAULTS, 1);
    Atomics.notify(words, FAULTS);
  }

  /** False when something is requested of the vCPU before the page has come. */
  private arrives(ram: RamBlock, pfn: number): boolean {
    const { words } = this.block;
    for (;;) {
      // Before mark and requests are looked at. Pairs with the adds in SharedPageFaults.wake() and
      // VcpuControl.wake().
      const seen = Atomics.load(words, this.sequence);
      if (ram.isReceived(pfn)) return true;
      if (this.isRequested()) return false;
      Atomics.wait(words, this.sequence, seen, RECHECK_MS);
    }
  }

  private isRequested(): boolean {
    const { words } = this.block;
    // Pairs with the or in VcpuControl.pause() and quit().
    if (Atomics.load(words, PAUSE_MASK) !== 0) return true;
    const done = this.block.vcpuWord(this.vcpu, FLIP_DONE);
    // Pairs with the add in VcpuControl.flip().
    return Atomics.load(words, FLIP_REQUEST) !== Atomics.load(words, done);
  }
}
