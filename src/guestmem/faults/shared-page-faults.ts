import { assert, type Clock, PAGE_BYTES } from '../../base/index.ts';
import { waitAsync } from '../async-wait.ts';
import {
  type ControlBlock,
  FAULT_NUMBER,
  FAULT_PAGE,
  FAULT_SEQUENCE,
  FAULTS,
} from '../control-block.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { FaultTally } from './fault-tally.ts';
import type { FaultStatistics, PageFault, PageFaults } from './page-faults.ts';

/**
 * The faults of vCPUs that are threads, for any thread that has the control block. The vCPU's side,
 * and why no wake-up is lost, is missing-page.ts.
 *
 * A watcher sleeps in an asynchronous wait on FAULTS, a word that nothing else notifies. A port for
 * each vCPU was measured against it: the same time (about 20 us there and back), and a port would
 * have to be carried from the thread that owns the vCPU to each thread that watches.
 */
export class SharedPageFaults implements PageFaults {
  private readonly block: ControlBlock;
  private readonly memory: GuestMemory;
  private readonly clock: Clock;
  private readonly tally: FaultTally;

  constructor(block: ControlBlock, memory: GuestMemory, clock: Clock) {
    this.block = block;
    this.memory = memory;
    this.clock = clock;
    this.tally = new FaultTally(block);
  }

  waiting(): readonly PageFault[] {
    const faults: PageFault[] = [];
    for (let vcpu = 0; vcpu < this.block.vcpuCount; vcpu += 1) {
      const page = this.pageOf(vcpu);
      if (page !== undefined) faults.push(this.fault(vcpu, page));
    }
    return faults;
  }

  watch(onFault: (fault: PageFault) => void): () => void {
    const watch = { ended: false };
    // Number of each vCPU's wait that was told last.
    const told = new Array<number | undefined>(this.block.vcpuCount).fill(undefined);
    void this.follow(watch, told, onFault);
    return () => {
      watch.ended = true;
      // Frees the wait, which pairs with it in follow(); other watchers look up for nothing.
      Atomics.add(this.block.words, FAULTS, 1);
      Atomics.notify(this.block.words, FAULTS);
    };
  }

  wake(): void {
    const { words } = this.block;
    for (let vcpu = 0; vcpu < this.block.vcpuCount; vcpu += 1) {
      const page = this.pageOf(vcpu);
      if (page === undefined) continue;
      const { block, pfn } = this.fault(vcpu, page);
      if (!this.memory.blocks[block]?.isReceived(pfn)) continue;
      const sequence = this.block.vcpuWord(vcpu, FAULT_SEQUENCE);
      // Pairs with the load and the wait in MissingPages.
      Atomics.add(words, sequence, 1);
      Atomics.notify(words, sequence);
    }
  }

  statistics(): FaultStatistics {
    return this.tally.read(this.clock.nowMs());
  }

  /** Counts anew. Only while paused. */
  reset(): void {
    this.tally.reset();
  }

  private async follow(
    watch: { readonly ended: boolean },
    told: (number | undefined)[],
    onFault: (fault: PageFault) => void,
  ): Promise<void> {
    const { words } = this.block;
    while (!watch.ended) {
      // Before the vCPUs are looked at: a fault that comes after makes the wait return at once.
      // Pairs with the add and notify in MissingPages.publish().
      const seen = Atomics.load(words, FAULTS);
      for (let vcpu = 0; vcpu < told.length && !watch.ended; vcpu += 1) {
        const fault = this.newFault(vcpu, told);
        if (fault !== undefined) onFault(fault);
      }
      await waitAsync(words, FAULTS, seen);
    }
  }

  /** The wait of a vCPU, if it was not told yet. */
  private newFault(vcpu: number, told: (number | undefined)[]): PageFault | undefined {
    const { words } = this.block;
    const word = this.block.vcpuWord(vcpu, FAULT_NUMBER);
    for (;;) {
      // Pairs with the add in MissingPages.publish(), which comes before the page is stored.
      const number = Atomics.load(words, word);
      if (number === told[vcpu]) return undefined;
      const page = this.pageOf(vcpu);
      // The page is of another wait if the number has moved meanwhile.
      if (Atomics.load(words, word) !== number) continue;
      // Not stored yet (then FAULTS is added to after it), or over already.
      if (page === undefined) return undefined;
      told[vcpu] = number;
      return this.fault(vcpu, page);
    }
  }

  /** Page of the guest that a vCPU waits for. */
  private pageOf(vcpu: number): number | undefined {
    // Pairs with the stores in MissingPages.
    const word = Atomics.load(this.block.words, this.block.vcpuWord(vcpu, FAULT_PAGE));
    return word === 0 ? undefined : word - 1;
  }

  private fault(vcpu: number, page: number): PageFault {
    const at = this.memory.locate(page * PAGE_BYTES);
    assert(at !== undefined, 'A vCPU waits for pages of RAM only');
    return { vcpu, block: at.block.layout.index, pfn: page - at.block.layout.firstPfn };
  }
}
