import { type Clock, PAGE_BYTES, type Random, SternaError } from '../../base/index.ts';
import {
  dirtyMapAddress,
  GuestMemory,
  type Heartbeat,
  LocalPageFaults,
  type Machine,
  type MachineDescription,
  type MachineFactory,
  type MachineState,
  type PauseReason,
  type RamBlock,
  type ThrottleReason,
} from '../../guestmem/index.ts';
import { simPage, simPageVersion, tellsVersion } from './sim-page.ts';

export interface SimMachineOptions {
  readonly clock: Clock;
  /** Pages of each RAM block; a few hundred make a good test. */
  readonly blockPages: readonly number[];
  readonly vcpuCount?: number;
  readonly seed?: number;
  readonly uuid?: string;
}

const SIM_MACHINE_TYPE = 'sim';
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
  readonly faults: LocalPageFaults;
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
  /** For each vCPU, the page at whose write it stopped, and which it writes next. */
  private readonly stoppedAt = new Map<number, number>();
  private postcopy = false;
  private readonly beats: { firstMs: number; lastMs: number; gapMs: number }[] = [];
  private stepCount = 0;
  private readonly throttles: Readonly<Record<ThrottleReason, number[]>> = {
    migration: [],
    'dirty-limit': [],
  };

  private constructor(description: MachineDescription, clock: Clock) {
    this.description = description;
    this.clock = clock;
    this.memory = GuestMemory.allocate(description.ramBlocks, description.vcpuCount);
    this.faults = new LocalPageFaults(this.memory, clock);
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
    this.faults.interrupt();
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

  setPostcopy(on: boolean): void {
    if (on) {
      this.requirePaused();
      this.faults.reset();
    } else {
      this.faults.wake();
      // What came meanwhile is what this machine has now.
      this.rememberRam();
    }
    this.postcopy = on;
  }

  /** Only noted: whoever calls `step` decides how fast this guest is. */
  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    for (let each = 0; each < this.writes.length; each += 1) {
      if (vcpu === undefined || each === vcpu) this.throttles[reason][each] = percent;
    }
  }

  /** Share of its time that a vCPU is to be asleep, percent. */
  throttlePercent(vcpu: number): number {
    const { migration, 'dirty-limit': limit } = this.throttles;
    return Math.max(migration[vcpu] ?? 0, limit[vcpu] ?? 0);
  }

  /**
   * Pages at whose writes vCPUs stopped that wait no more: they write these before anything else,
   * or wait anew after a pause. Empty while paused.
   */
  repeatable(): readonly number[] {
    if (this.isPaused) return [];
    return [...this.stoppedAt]
      .filter(([vcpu]) => !this.faults.isWaiting(vcpu))
      .map(([, pfn]) => pfn);
  }

  /**
   * Writes `count` pages, chosen at random among the first `hotPages` (default: all), after those
   * that vCPUs have waited for. Nothing while paused.
   */
  step(random: Random, count = 1, hotPages = this.memory.pageCount): void {
    if (this.isPaused) return;
    for (const pfn of this.repeatable()) this.write(pfn);
    for (let i = 0; i < count; i += 1) this.write(random.below(hotPages));
    const nowMs = this.clock.nowMs();
    for (const beat of this.beats) {
      if (Number.isNaN(beat.firstMs)) beat.firstMs = nowMs;
      else beat.gapMs = Math.max(beat.gapMs, nowMs - beat.lastMs);
      beat.lastMs = nowMs;
    }
  }

  /**
   * One write to a page by the vCPU that owns it, through its dirty log. False when it was not
   * done: nothing is while paused; in post-copy a missing page stops its vCPU, which then does
   * nothing more until the page is there and `faults.wake()` was called.
   */
  write(pfn: number): boolean {
    if (this.isPaused) return false;
    const vcpu = pfn % this.description.vcpuCount;
    if (this.isStopped(vcpu, pfn)) return false;
    const { block, local, page } = this.page(pfn);
    const version = simPageVersion(page) + 1;
    page.set(simPage(this.seed, pfn, version));
    block.bytes[dirtyMapAddress(block.layout, vcpu, this.memory.activeMap(vcpu)) + local] = 1;
    this.history[pfn] = version;
    if (tellsVersion(pfn)) this.writes[vcpu] = (this.writes[vcpu] ?? 0) + 1;
    this.stepCount += 1;
    return true;
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
    this.rememberRam();
  }

  /** This guest never waits for anything. */
  busyMs(): readonly number[] {
    return this.writes.map(() => this.clock.nowMs());
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
   * counters tell. Only with all pages present; `pages` are those that may hold something.
   */
  problems(pages: readonly number[] = this.allPages()): string[] {
    if (this.postcopy) this.requirePages();
    const found: string[] = [];
    const told = new Array<number>(this.description.vcpuCount).fill(0);
    for (const pfn of pages) {
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

  /**
   * Pages that hold something by what this machine wrote and what its blocks were told, ascending.
   * Whoever reads all others commits 16 MiB of memory, which takes longer than most migrations.
   */
  heldPages(): number[] {
    const held: number[] = [];
    for (const { bytes, layout } of this.memory.blocks) {
      const { populatedBitmap, pageCount, firstPfn } = layout;
      for (let local = 0; local < pageCount; local += 1) {
        const isPopulated = ((bytes[populatedBitmap + (local >>> 3)] ?? 0) >>> (local & 7)) & 1;
        const pfn = firstPfn + local;
        if (isPopulated === 1 || (this.history[pfn] ?? 0) > 0) held.push(pfn);
      }
    }
    return held;
  }

  /** Pages that arrived in another state than that in which this machine left them. */
  pagesThatDiffer(arrived: GuestMemory, pages: readonly number[] = this.allPages()): number[] {
    return pages.filter((pfn) => {
      const at = arrived.locate(pfn * PAGE_BYTES);
      const page = at?.block.ram.subarray(at.offsetBytes, at.offsetBytes + PAGE_BYTES);
      return !page?.equals(simPage(this.seed, pfn, this.history[pfn] ?? 0));
    });
  }

  /** Whether the vCPU must not write the page now. */
  private isStopped(vcpu: number, pfn: number): boolean {
    if (!this.postcopy) {
      this.stoppedAt.delete(vcpu);
      return false;
    }
    if (this.faults.isWaiting(vcpu)) return true;
    // First what it stopped at; a wait that a pause interrupted begins anew.
    const missing = [this.stoppedAt.get(vcpu) ?? pfn, pfn].find((next) => !this.isPresent(next));
    this.stoppedAt.delete(vcpu);
    if (missing === undefined) return false;
    this.stoppedAt.set(vcpu, missing);
    const { block, local } = this.page(missing);
    this.faults.begin({ vcpu, block: block.layout.index, pfn: local });
    return true;
  }

  private allPages(): number[] {
    return Array.from({ length: this.memory.pageCount }, (_, pfn) => pfn);
  }

  private isPresent(pfn: number): boolean {
    const { block, local } = this.page(pfn);
    return !this.postcopy || block.isReceived(local);
  }

  private requirePages(): void {
    for (let pfn = 0; pfn < this.memory.pageCount; pfn += 1) {
      if (!this.isPresent(pfn)) throw new SternaError('E_STATE', `Page ${pfn} has not arrived`);
    }
  }

  private rememberRam(): void {
    const held = this.heldPages();
    this.history.fill(0);
    for (const pfn of held) this.history[pfn] = simPageVersion(this.page(pfn).page);
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
