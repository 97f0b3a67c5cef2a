import { type Clock, SternaError, systemClock } from '../base/index.ts';
import {
  ControlBlock,
  GuestMemory,
  type Heartbeat,
  type Machine,
  type MachineDescription,
  type MachineState,
  type PauseReason,
  SharedPageFaults,
  type ThrottleReason,
  VcpuControl,
} from '../guestmem/index.ts';
import { ConsoleDevice } from './console-device.ts';
import { registersOf, type WorkloadMachineHandles } from './shared-state.ts';
import { PHASE, type VcpuRegisters } from './vcpu-registers.ts';
import { checkWorkload, type WorkloadCheck } from './workload/workload-check.ts';
import { instantiatePrograms, strictMmuHost } from './workload/workload-program.ts';
import { contentOf, type WorkloadSpec } from './workload/workload-spec.ts';
import { loadState, saveState } from './workload/workload-state.ts';
import { workloadConfig } from './workload-description.ts';

/** How far the guest has come; counts since its start, across migrations. */
export interface WorkloadProgress {
  readonly booted: boolean;
  readonly writes: number;
  readonly reads: number;
  readonly ticks: number;
}

/**
 * A workload machine as any thread of its agent sees it. Everything is in shared memory, so the
 * migration worker steers the guest without asking the main thread, which owns the vCPU workers
 * ({@link WorkloadMachine}).
 */
export class AttachedMachine implements Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  readonly control: VcpuControl;
  readonly faults: SharedPageFaults;
  protected readonly shared: WorkloadMachineHandles;
  private readonly spec: WorkloadSpec;
  private readonly seed: number;
  private readonly registers: readonly VcpuRegisters[];
  private readonly console: ConsoleDevice;
  private readonly clock: Clock;

  protected constructor(handles: WorkloadMachineHandles, memory: GuestMemory, clock: Clock) {
    const { spec, seed } = workloadConfig(handles.description);
    this.shared = handles;
    this.description = handles.description;
    this.memory = memory;
    this.clock = clock;
    this.spec = spec;
    this.seed = seed;
    const block = new ControlBlock(handles.control);
    this.control = new VcpuControl(block, memory, clock);
    this.faults = new SharedPageFaults(block, memory, clock);
    this.registers = registersOf(handles.registers);
    this.console = new ConsoleDevice(handles.device);
  }

  static attach(handles: WorkloadMachineHandles, clock: Clock = systemClock()): AttachedMachine {
    return new AttachedMachine(handles, GuestMemory.attach(handles.memory), clock);
  }

  /** For `attach` in another thread. */
  handles(): WorkloadMachineHandles {
    return this.shared;
  }

  pause(reason: PauseReason): Promise<void> {
    return this.control.pause(reason);
  }

  resume(reason: PauseReason): void {
    this.control.resume(reason);
  }

  /** Why the guest stands still; empty while it runs. */
  pauseReasons(): readonly PauseReason[] {
    return this.control.reasons();
  }

  flipDirtyLogs(): Promise<void> {
    return this.control.flip();
  }

  async save(): Promise<MachineState> {
    this.requireParked('saved');
    return saveState(this.stateful());
  }

  async load(state: MachineState): Promise<void> {
    this.requireParked('loaded');
    loadState(this.stateful(), state);
  }

  setPostcopy(on: boolean): void {
    if (on) {
      this.requireParked('told that pages are missing');
      this.faults.reset();
    }
    this.control.setPostcopy(on);
  }

  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    this.control.throttle(reason, percent, vcpu);
  }

  heartbeats(): readonly Heartbeat[] {
    return this.control.heartbeats();
  }

  resetHeartbeats(): void {
    this.control.resetHeartbeats();
  }

  /** Time that the guest has run, in milliseconds, across migrations. */
  guestTimeMs(): number {
    return this.control.guestClock.nowMs();
  }

  progress(): WorkloadProgress {
    const sum = (of: (registers: VcpuRegisters) => number) =>
      this.registers.reduce((total, registers) => total + of(registers), 0);
    return {
      booted: this.isBooted(),
      writes: sum(({ writes }) => writes),
      reads: sum(({ reads }) => reads),
      ticks: sum(({ ticks }) => ticks),
    };
  }

  /** What the guest printed last. */
  consoleText(): string {
    return this.console.text();
  }

  /** Resolves when memory is filled and the workload proper begins. Rejects with E_WORKER_DIED. */
  waitBooted(): Promise<void> {
    // How long that takes depends on the guest's size, and it may be paused meanwhile.
    return this.control.until(() => this.isBooted(), Number.POSITIVE_INFINITY);
  }

  /**
   * Compares the whole RAM with what the workload must have left there. Only while paused, with all
   * pages present: else it rejects with E_STATE.
   */
  async check(): Promise<WorkloadCheck> {
    this.requireParked('checked');
    this.requirePages();
    return checkWorkload({
      spec: this.spec,
      memory: this.memory,
      registers: this.registers,
      programs: instantiatePrograms(this.memory, this.seed, strictMmuHost(), contentOf(this.spec)),
      clock: this.clock,
    });
  }

  private isBooted(): boolean {
    return this.registers.every(({ phase }) => phase !== PHASE.filling);
  }

  private stateful() {
    const { spec, memory, registers, console } = this;
    return { spec, memory, registers, console, guestClock: this.control.guestClock };
  }

  private requirePages(): void {
    if (!this.control.isPostcopy) return;
    const missing = this.memory.blocks.reduce((pages, block) => pages + block.missingPages(), 0);
    if (missing === 0) return;
    throw new SternaError('E_STATE', 'A guest with missing pages cannot be checked', {
      detail: { missing },
    });
  }

  private requireParked(what: string): void {
    if (this.control.standsStill()) return;
    throw new SternaError('E_STATE', `A running guest cannot be ${what}: pause it first`);
  }
}
