import type { Clock } from '../../base/index.ts';
import { ControlBlock } from '../control-block.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { FaultTally } from './fault-tally.ts';
import type { FaultStatistics, PageFault, PageFaults } from './page-faults.ts';

/**
 * The faults of a guest without threads, for the simulator and for tests: the guest says which vCPU
 * waits, and asks before each step whether it still does.
 */
export class LocalPageFaults implements PageFaults {
  private readonly memory: GuestMemory;
  private readonly clock: Clock;
  private readonly tally: FaultTally;
  private readonly waits = new Map<number, PageFault>();
  private readonly watchers = new Set<{ readonly onFault: (fault: PageFault) => void }>();

  constructor(memory: GuestMemory, clock: Clock) {
    this.memory = memory;
    this.clock = clock;
    // One log is the devices'.
    this.tally = new FaultTally(ControlBlock.allocate(memory.logCount - 1, []));
  }

  /** A vCPU that waits for nothing begins to wait. */
  begin(fault: PageFault): void {
    const firstPfn = this.memory.blocks[fault.block]?.layout.firstPfn ?? 0;
    this.waits.set(fault.vcpu, fault);
    this.tally.begin(fault.vcpu, firstPfn + fault.pfn, this.clock.nowMs());
    for (const { onFault } of [...this.watchers]) onFault(fault);
  }

  isWaiting(vcpu: number): boolean {
    return this.waits.has(vcpu);
  }

  /** The guest pauses: whoever waits is called away. */
  interrupt(): void {
    for (const vcpu of [...this.waits.keys()]) this.end(vcpu, false);
  }

  /** Counts anew, and nobody waits. Only while paused. */
  reset(): void {
    this.waits.clear();
    this.tally.reset();
  }

  waiting(): readonly PageFault[] {
    return [...this.waits.values()].sort((first, second) => first.vcpu - second.vcpu);
  }

  watch(onFault: (fault: PageFault) => void): () => void {
    const watcher = { onFault };
    this.watchers.add(watcher);
    for (const fault of this.waiting()) onFault(fault);
    return () => {
      this.watchers.delete(watcher);
    };
  }

  wake(): void {
    for (const { vcpu, block, pfn } of this.waiting()) {
      if (this.memory.blocks[block]?.isReceived(pfn)) this.end(vcpu, true);
    }
  }

  statistics(): FaultStatistics {
    return this.tally.read(this.clock.nowMs());
  }

  private end(vcpu: number, arrived: boolean): void {
    this.waits.delete(vcpu);
    this.tally.end(vcpu, this.clock.nowMs(), arrived);
  }
}
