import { type Clock, SternaError, systemClock } from '../base/index.ts';
import { GuestMemory, type MachineState } from '../guestmem/index.ts';
import { ConsoleDevice } from './console-device.ts';
import { SharedMachine } from './shared-machine.ts';
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

/** A workload machine as any thread of its agent sees it. */
export class AttachedMachine extends SharedMachine {
  protected readonly shared: WorkloadMachineHandles;
  private readonly spec: WorkloadSpec;
  private readonly seed: number;
  private readonly registers: readonly VcpuRegisters[];
  private readonly console: ConsoleDevice;

  protected constructor(handles: WorkloadMachineHandles, memory: GuestMemory, clock: Clock) {
    const { description, control } = handles;
    super({ description, memory, control, clock });
    const { spec, seed } = workloadConfig(description);
    this.shared = handles;
    this.spec = spec;
    this.seed = seed;
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

  protected takeState(): MachineState {
    return saveState(this.stateful());
  }

  protected putState(state: MachineState): void {
    loadState(this.stateful(), state);
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
}
