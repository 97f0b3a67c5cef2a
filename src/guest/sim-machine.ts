import { type Clock, PAGE_BYTES, type Random, SternaError } from '../base/index.ts';
import {
  dirtyMapAddress,
  GuestMemory,
  type Heartbeat,
  type Machine,
  type MachineDescription,
  type MachineFactory,
  type MachineState,
  type PauseReason,
  type RamBlock,
} from '../guestmem/index.ts';
import { simPage, simPageVersion, tellsVersion } from './sim-page.ts';

export interface SimMachineOptions {
  readonly clock: Clock;
  /** Pages of each RAM block; a few hundred make a good test. */
  readonly blockPages: readonly number[];
  readonly vcpuCount?: number;
  readonly seed?: number;
  readonly uuid?: string;
}

export const SIM_MACHINE_TYPE = 'sim';
const VERSION = 1;
const STATE_NAMES = ['vcpu', 'clock'] as const;

/**
 * A guest without threads, for the simulator and the tests of the engines: its memory and dirty
 * logs are real, and it moves only when `step` is called, so that one seed is one history. Pausing
 * and flipping take effect at once.
 */
export class SimMachine implements Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  private readonly clock: Clock;
  private readonly seed: number;
  private readonly reasons = new Set<PauseReason>();
  /** Writes of each vCPU to pages that tell their version; crosses in a migration. */
  private readonly writes: number[];
  /**
   * What was written to each page last by *this* machine: the state in which RAM must arrive
   * elsewhere.
   */
  private readonly history: Uint32Array;
  private readonly beats: { firstMs: number; lastMs: number; gapMs: number }[] = [];
  private stepCount = 0;

  private constructor(description: MachineDescription, clock: Clock) {
    this.description = description;
    this.clock = clock;
    this.memory = GuestMemory.allocate(description.ramBlocks, description.vcpuCount);
    this.seed = Number(description.config.seed);
    this.writes = new Array<number>(description.vcpuCount).fill(0);
    this.history = new Uint32Array(this.memory.pageCount);
    this.resetHeartbeats();
  }

  /** A running guest with zeroed RAM. */
  static create(options: SimMachineOptions): SimMachine {
    const ramBlocks = options.blockPages.map((pages, index) => ({
      name: `ram${index}`,
      bytes: pages * PAGE_BYTES,
    }));
    return new SimMachine(
      {
        type: SIM_MACHINE_TYPE,
        version: VERSION,
        name: 'sim',
        uuid: options.uuid ?? '00000000-0000-4000-8000-000000000001',
        vcpuCount: options.vcpuCount ?? 1,
        ramBlocks,
        config: { seed: options.seed ?? 1 },
      },
      options.clock,
    );
  }

  /** Builds the machine that a source describes, paused for `ownership`; `made` sees each one. */
  static factory(clock: Clock, made: (machine: SimMachine) => void = () => {}): MachineFactory {
    return {
      refusal: ({ type, version }) =>
        type === SIM_MACHINE_TYPE && version === VERSION
          ? undefined
          : { code: 'E_HANDSHAKE_MACHINE', message: `Not a machine of the simulator: ${type}` },
      create: async (description) => {
        const machine = new SimMachine(description, clock);
        machine.reasons.add('ownership');
        made(machine);
        return machine;
      },
      destroy: async () => {},
    };
  }

  async pause(reason: PauseReason): Promise<void> {
    this.reasons.add(reason);
  }

  resume(reason: PauseReason): void {
    this.reasons.delete(reason);
  }

  pauseReasons(): readonly PauseReason[] {
    return [...this.reasons];
  }

  get isPaused(): boolean {
    return this.reasons.size > 0;
  }

  /** Number of writes so far, across migrations only as far as pages tell it. */
  get steps(): number {
    return this.stepCount;
  }

  async flipDirtyLogs(): Promise<void> {
    for (let log = 0; log < this.memory.logCount; log += 1) this.memory.flipLog(log);
  }

  /**
   * Writes `count` pages, chosen at random among the first `hotPages` (default: all). Nothing while
   * paused.
   */
  step(random: Random, count = 1, hotPages = this.memory.pageCount): void {
    if (this.isPaused) return;
    for (let i = 0; i < count; i += 1) this.write(random.below(hotPages));
    const nowMs = this.clock.nowMs();
    for (const beat of this.beats) {
      if (Number.isNaN(beat.firstMs)) beat.firstMs = nowMs;
      else beat.gapMs = Math.max(beat.gapMs, nowMs - beat.lastMs);
      beat.lastMs = nowMs;
    }
  }

  /** One write to a page by the vCPU that owns it, through its dirty log. Nothing while paused. */
  write(pfn: number): void {
    if (this.isPaused) return;
    const vcpu = pfn % this.description.vcpuCount;
    const { block, local, page } = this.page(pfn);
    const version = simPageVersion(page) + 1;
    page.set(simPage(this.seed, pfn, version));
    block.bytes[dirtyMapAddress(block.layout, vcpu, this.memory.activeMap(vcpu)) + local] = 1;
    this.history[pfn] = version;
    if (tellsVersion(pfn)) this.writes[vcpu] = (this.writes[vcpu] ?? 0) + 1;
    this.stepCount += 1;
  }

  async save(): Promise<MachineState> {
    this.requirePaused();
    const bytes = (values: readonly number[]) => new Uint8Array(new Float64Array(values).buffer);
    return {
      sections: [
        { name: 'vcpu', version: VERSION, bytes: bytes(this.writes) },
        { name: 'clock', version: VERSION, bytes: bytes([this.stepCount]) },
      ],
    };
  }

  async load(state: MachineState): Promise<void> {
    this.requirePaused();
    const values = state.sections.map(({ bytes }) =>
      // A new array is aligned; a ragged end cannot be one of ours and is refused below by its
      // count.
      bytes.length % 8 === 0 ? [...new Float64Array(new Uint8Array(bytes).buffer)] : [],
    );
    const [writes = [], [steps = -1] = []] = values;
    const named = STATE_NAMES.every((name, index) => state.sections[index]?.name === name);
    const counted = [...writes, steps].every((count) => Number.isSafeInteger(count) && count >= 0);
    if (!named || !counted || state.sections.length !== 2 || writes.length !== this.writes.length) {
      throw new SternaError('E_MACHINE_STATE', 'Not the state of this machine');
    }
    this.writes.splice(0, writes.length, ...writes);
    this.stepCount = steps;
    for (const { layout, ram } of this.memory.blocks) {
      for (let local = 0; local < layout.pageCount; local += 1)
        this.history[layout.firstPfn + local] = simPageVersion(ram, local * PAGE_BYTES);
    }
  }

  heartbeats(): readonly Heartbeat[] {
    return this.beats.map(({ firstMs, lastMs, gapMs }, vcpu) => ({
      vcpu,
      firstStepMs: firstMs,
      lastStepMs: lastMs,
      longestGapMs: gapMs,
    }));
  }

  resetHeartbeats(): void {
    const none = () => ({ firstMs: Number.NaN, lastMs: Number.NaN, gapMs: Number.NaN });
    this.beats.splice(
      0,
      this.beats.length,
      ...Array.from({ length: this.description.vcpuCount }, none),
    );
  }

  /**
   * What is wrong with this RAM by itself: torn pages, and pages that are older than the vCPUs'
   * counters tell.
   */
  problems(): string[] {
    const found: string[] = [];
    const told = new Array<number>(this.description.vcpuCount).fill(0);
    for (let pfn = 0; pfn < this.memory.pageCount; pfn += 1) {
      const { page } = this.page(pfn);
      const version = simPageVersion(page);
      if (!page.equals(simPage(this.seed, pfn, version)))
        found.push(`page ${pfn} is torn or corrupt`);
      const vcpu = pfn % told.length;
      if (tellsVersion(pfn)) told[vcpu] = (told[vcpu] ?? 0) + version;
    }
    for (const [vcpu, count] of told.entries()) {
      if (count === this.writes[vcpu]) continue;
      found.push(`vCPU ${vcpu} has written ${this.writes[vcpu]} times, its pages tell of ${count}`);
    }
    return found;
  }

  /** Pages that arrived in another state than that in which this machine left them. */
  pagesThatDiffer(arrived: GuestMemory): number[] {
    return Array.from({ length: this.memory.pageCount }, (_, pfn) => pfn).filter((pfn) => {
      const at = arrived.locate(pfn * PAGE_BYTES);
      const page = at?.block.ram.subarray(at.offsetBytes, at.offsetBytes + PAGE_BYTES);
      return !page?.equals(simPage(this.seed, pfn, this.history[pfn] ?? 0));
    });
  }

  private page(pfn: number): {
    readonly block: RamBlock;
    readonly local: number;
    readonly page: Buffer;
  } {
    const at = this.memory.locate(pfn * PAGE_BYTES);
    if (at === undefined) throw new RangeError(`Page ${pfn} is outside RAM`);
    const { block, offsetBytes } = at;
    const page = block.ram.subarray(offsetBytes, offsetBytes + PAGE_BYTES);
    return { block, local: pfn - block.layout.firstPfn, page };
  }

  private requirePaused(): void {
    if (!this.isPaused)
      throw new SternaError('E_STATE', 'Only a paused guest can be saved or loaded');
  }
}
