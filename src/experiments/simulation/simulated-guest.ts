import type { Clock, Random } from '../../base/index.ts';
import type { SimMachine } from '../../guest/index.ts';
import type {
  GuestMemory,
  Heartbeat,
  Machine,
  MachineDescription,
  MachineState,
  PageFaults,
  PauseReason,
  ThrottleReason,
} from '../../guestmem/index.ts';
import type { GuestPlan } from './history-plan.ts';

export interface GuestWatch {
  paused(reason: PauseReason): void;
  resumed(reason: PauseReason): void;
  /** After each store, before anything else can happen. */
  written(machine: SimMachine, pfn: number): void;
}

/**
 * The machine that the engines hold: a SimMachine whose vCPUs reach their safepoints a little later
 * than they are asked to, one after the other, as threads would. Everything that matters is told to
 * the watch.
 */
export class SimulatedGuest implements Machine {
  readonly machine: SimMachine;
  private readonly clock: Clock;
  private readonly plan: GuestPlan;
  private readonly watch: GuestWatch;
  private readonly reasons: Set<PauseReason>;
  private destroyed = false;
  private cursor = 0;

  constructor(
    machine: SimMachine,
    reasons: readonly PauseReason[],
    clock: Clock,
    plan: GuestPlan,
    watch: GuestWatch,
  ) {
    this.machine = machine;
    this.reasons = new Set(reasons);
    this.clock = clock;
    this.plan = plan;
    this.watch = watch;
  }

  get description(): MachineDescription {
    return this.machine.description;
  }

  get memory(): GuestMemory {
    return this.machine.memory;
  }

  get faults(): PageFaults {
    return this.machine.faults;
  }

  get isRunning(): boolean {
    return !this.destroyed && this.reasons.size === 0;
  }

  get isDestroyed(): boolean {
    return this.destroyed;
  }

  /** Why it stands still. */
  pauseReasons(): readonly PauseReason[] {
    return [...this.reasons];
  }

  async pause(reason: PauseReason): Promise<void> {
    if (this.isRunning) await this.clock.sleep(this.plan.safepointMs);
    this.reasons.add(reason);
    await this.machine.pause(reason);
    this.watch.paused(reason);
  }

  resume(reason: PauseReason): void {
    if (!this.reasons.delete(reason)) return;
    this.machine.resume(reason);
    this.watch.resumed(reason);
  }

  async flipDirtyLogs(): Promise<void> {
    const { logCount } = this.memory;
    for (let log = 0; log < logCount; log += 1) {
      this.memory.flipLog(log);
      if (this.isRunning) await this.clock.sleep(this.plan.safepointMs / logCount);
    }
  }

  save(): Promise<MachineState> {
    return this.machine.save();
  }

  load(state: MachineState): Promise<void> {
    return this.machine.load(state);
  }

  setPostcopy(on: boolean): void {
    this.machine.setPostcopy(on);
  }

  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    this.machine.throttle(reason, percent, vcpu);
  }

  busyMs(): readonly number[] {
    return this.machine.busyMs();
  }

  heartbeats(): readonly Heartbeat[] {
    return this.machine.heartbeats();
  }

  resetHeartbeats(): void {
    this.machine.resetHeartbeats();
  }

  /** The end of this machine; it never runs again. */
  destroy(): void {
    this.destroyed = true;
  }

  /** A step of all vCPUs. Nothing while paused. */
  step(random: Random, hotPages: readonly number[]): void {
    if (!this.isRunning) return;
    for (const pfn of this.machine.repeatable()) this.store(pfn);
    for (let i = 0; i < this.plan.writesPerStep; i += 1) {
      const isStray = random.below(this.plan.strayEvery) === 0;
      this.store(isStray ? random.below(this.memory.pageCount) : this.choose(random, hotPages));
    }
    // Without writes it only notes when the vCPUs stepped.
    this.machine.step(random, 0);
  }

  /** Nothing when the vCPU waits for a page. */
  store(pfn: number): void {
    if (this.machine.write(pfn)) this.watch.written(this.machine, pfn);
  }

  private choose(random: Random, hotPages: readonly number[]): number {
    const count = hotPages.length;
    this.cursor = (this.cursor + 1) % count;
    const indexes = {
      uniform: () => random.below(count),
      ascending: () => this.cursor,
      skewed: () => random.below(random.below(count) + 1),
    };
    return hotPages[indexes[this.plan.pattern]()] ?? 0;
  }
}
