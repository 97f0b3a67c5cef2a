import { assert, type Clock, PAGE_BYTES, SternaError } from '../../src/base/index.ts';
import {
  dirtyMapAddress,
  GuestMemory,
  type Heartbeat,
  LocalPageFaults,
  type Machine,
  type MachineDescription,
  type MachineFactory,
  type MachineRefusal,
  type MachineState,
  type PauseReason,
  type RamBlock,
  type ThrottleReason,
} from '../../src/guestmem/index.ts';

/** The least RAM that HELLO admits is 16 MiB; most of it is never touched. */
export const FAKE_BLOCKS = [
  { name: 'low', pages: 1000 },
  { name: 'high', pages: 3095 },
  { name: 'rom', pages: 1 },
].map(({ name, pages }) => ({ name, bytes: pages * PAGE_BYTES }));

export const FAKE_DESCRIPTION: MachineDescription = {
  type: 'fake',
  version: 1,
  name: 'guest',
  uuid: '6f1e3b0a-9d52-4c7e-8a41-0f5d2c9b7e13',
  vcpuCount: 2,
  ramBlocks: FAKE_BLOCKS,
  config: { seed: 7 },
};

export interface FakeMachineHooks {
  /**
   * Called at each flip of a guest that runs, before its logs are flipped: a place to dirty pages.
   */
  readonly beforeFlip?: (machine: FakeMachine, flip: number) => void;
  /** Called when the guest is about to stand still: the last place to dirty pages. */
  readonly beforePause?: (machine: FakeMachine, reason: PauseReason) => void | Promise<void>;
  readonly beforeLoad?: () => void;
}

/**
 * A guest without vCPUs: a script writes its memory at chosen moments, so that a test decides what
 * is dirty when. It checks what the engines promise: nothing is written, saved or flipped at the
 * wrong time.
 */
export class FakeMachine implements Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  readonly faults: LocalPageFaults;
  /** Every reason that came (`+`) or went (`-`), in order. */
  readonly history: string[] = [];
  loaded: MachineState | undefined;
  readonly reasons = new Set<PauseReason>();
  private readonly clock: Clock;
  private readonly hooks: FakeMachineHooks;
  private flips = 0;
  private postcopy = false;
  /** Every throttle that was set, in order. */
  /** Of each vCPU's time, what it runs for. */
  busyShare = 1;
  readonly throttles: {
    readonly reason: ThrottleReason;
    readonly percent: number;
    readonly vcpu: number | undefined;
  }[] = [];
  private firstStepMs = Number.NaN;
  private lastStepMs = Number.NaN;

  constructor(clock: Clock, hooks: FakeMachineHooks = {}, description = FAKE_DESCRIPTION) {
    this.clock = clock;
    this.hooks = hooks;
    this.description = description;
    this.memory = GuestMemory.allocate(description.ramBlocks, description.vcpuCount);
    this.faults = new LocalPageFaults(this.memory, clock);
    this.firstStepMs = clock.nowMs();
  }

  get isRunning(): boolean {
    return this.reasons.size === 0;
  }

  get flipCount(): number {
    return this.flips;
  }

  /** A store of the guest. */
  write(block: number, pfn: number, offset: number, bytes: Uint8Array): void {
    assert(this.isRunning, 'A guest that stands still writes nothing');
    const ramBlock = this.block(block);
    assert(this.isPresent(block, pfn), 'A guest writes no page that has not arrived');
    const { layout } = ramBlock;
    ramBlock.bytes.set(bytes, layout.ram + pfn * PAGE_BYTES + offset);
    // The vCPUs take turns.
    const log = pfn % this.description.vcpuCount;
    ramBlock.bytes[dirtyMapAddress(layout, log, this.memory.activeMap(log)) + pfn] = 1;
  }

  /**
   * A vCPU (by default the one that writes the page) touches a page. False when it has to wait for
   * it: then it does until the page is there and `faults.wake()` was called.
   */
  access(block: number, pfn: number, vcpu = pfn % this.description.vcpuCount): boolean {
    assert(this.isRunning, 'A guest that stands still touches nothing');
    assert(!this.faults.isWaiting(vcpu), 'A vCPU that waits touches nothing');
    if (this.isPresent(block, pfn)) return true;
    this.faults.begin({ vcpu, block, pfn });
    return false;
  }

  async pause(reason: PauseReason): Promise<void> {
    if (this.isRunning) await this.hooks.beforePause?.(this, reason);
    if (this.isRunning) this.lastStepMs = this.clock.nowMs();
    this.faults.interrupt();
    this.reasons.add(reason);
    this.history.push(`+${reason}`);
  }

  resume(reason: PauseReason): void {
    if (!this.reasons.delete(reason)) return;
    this.history.push(`-${reason}`);
    if (this.isRunning && Number.isNaN(this.firstStepMs)) this.firstStepMs = this.clock.nowMs();
  }

  pauseReasons(): readonly PauseReason[] {
    return [...this.reasons];
  }

  async flipDirtyLogs(): Promise<void> {
    this.flips += 1;
    if (this.isRunning) this.hooks.beforeFlip?.(this, this.flips);
    for (let log = 0; log < this.memory.logCount; log += 1) this.memory.flipLog(log);
  }

  async save(): Promise<MachineState> {
    assert(!this.isRunning, 'A state is saved while paused');
    const bytes = Uint8Array.from([1, 2, 3, this.flips]);
    return { sections: [{ name: 'vcpus', version: 1, bytes }] };
  }

  async load(state: MachineState): Promise<void> {
    assert(!this.isRunning, 'A state is loaded while paused');
    this.hooks.beforeLoad?.();
    if (state.sections[0]?.name !== 'vcpus') {
      throw new SternaError('E_MACHINE_STATE', 'Section is missing');
    }
    this.loaded = state;
  }

  setPostcopy(on: boolean): void {
    if (on) {
      assert(!this.isRunning, 'Pages go missing while paused');
      this.faults.reset();
    }
    this.postcopy = on;
    this.faults.wake();
    this.history.push(on ? 'postcopy on' : 'postcopy off');
  }

  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    this.throttles.push({ reason, percent, vcpu });
    this.history.push(`throttle ${percent}`);
  }

  /** Share of its time that each vCPU is asleep for the migration's sake now. */
  get throttlePercent(): number {
    return this.throttles.findLast(({ reason }) => reason === 'migration')?.percent ?? 0;
  }

  busyMs(): readonly number[] {
    const { vcpuCount } = this.description;
    return new Array<number>(vcpuCount).fill(this.busyShare * this.clock.nowMs());
  }

  heartbeats(): readonly Heartbeat[] {
    const lastStepMs = this.isRunning ? this.clock.nowMs() : this.lastStepMs;
    return Array.from({ length: this.description.vcpuCount }, (_, vcpu) => ({
      vcpu,
      firstStepMs: this.firstStepMs,
      lastStepMs,
      longestGapMs: 0,
    }));
  }

  resetHeartbeats(): void {
    this.firstStepMs = Number.NaN;
  }

  private isPresent(block: number, pfn: number): boolean {
    return !this.postcopy || this.block(block).isReceived(pfn);
  }

  block(index: number): RamBlock {
    const block = this.memory.blocks[index];
    assert(block !== undefined, 'The block exists');
    return block;
  }
}

/** Builds fake machines, and remembers what became of them. */
export class FakeFactory implements MachineFactory {
  readonly created: FakeMachine[] = [];
  readonly destroyed: Machine[] = [];
  private readonly clock: Clock;
  private readonly options: {
    readonly refusal?: MachineRefusal;
    readonly hooks?: FakeMachineHooks;
    /** Building takes that long. */
    readonly buildMs?: number;
    readonly failure?: SternaError;
  };

  constructor(clock: Clock, options: FakeFactory['options'] = {}) {
    this.clock = clock;
    this.options = options;
  }

  refusal(): MachineRefusal | undefined {
    return this.options.refusal;
  }

  async create(description: MachineDescription): Promise<Machine> {
    if (this.options.buildMs !== undefined) await this.clock.sleep(this.options.buildMs);
    if (this.options.failure !== undefined) throw this.options.failure;
    const machine = new FakeMachine(this.clock, this.options.hooks, description);
    await machine.pause('ownership');
    this.created.push(machine);
    return machine;
  }

  async destroy(machine: Machine): Promise<void> {
    this.destroyed.push(machine);
  }
}

/** Block by block, byte by byte. */
export function ramDifferences(first: GuestMemory, second: GuestMemory): string[] {
  return first.blocks.flatMap((block, index) => {
    const other = second.blocks[index]?.ram;
    return other !== undefined && block.ram.equals(other) ? [] : [block.layout.name];
  });
}
