import { SternaError, systemClock, workerUrl } from '../base/index.ts';
import {
  ControlBlock,
  GuestMemory,
  type MachineDescription,
  type MemoryReserve,
} from '../guestmem/index.ts';
import { AttachedMachine } from './attached-machine.ts';
import { CONSOLE_BYTES } from './console-device.ts';
import { Mailbox } from './service/mailbox.ts';
import { registersOf, type WorkloadMachineHandles } from './shared-state.ts';
import { REGISTER_BYTES } from './vcpu-registers.ts';
import type { VcpuWorkerData } from './vcpu-thread.ts';
import { VcpuWorkers } from './vcpu-workers.ts';
import { refusal, workloadConfig } from './workload-description.ts';

export interface WorkloadMachineCreation {
  /** One that `refusal` does not refuse. */
  readonly description: MachineDescription;
  /** Paused for the reason `ownership`, as on a destination; else it runs at once. */
  readonly startPaused: boolean;
  /** Memory that is resident already, used where it fits. */
  readonly reserve?: MemoryReserve | undefined;
}

/**
 * The synthetic guest, in the thread that owns its vCPU workers. Drop the object after `destroy` to
 * free its RAM.
 */
export class WorkloadMachine extends AttachedMachine {
  private readonly workers = new VcpuWorkers(this.control);

  /**
   * Zeroed RAM, every vCPU at its first safepoint. Rejects with E_NO_MEMORY, E_WORKER_DIED or
   * E_CONFIG_INVALID.
   */
  static async create({
    description,
    startPaused,
    reserve,
  }: WorkloadMachineCreation): Promise<WorkloadMachine> {
    const refused = refusal(description);
    if (refused !== undefined) throw new SternaError('E_CONFIG_INVALID', refused.message);
    const { vcpuCount, ramBlocks } = description;
    const memory = GuestMemory.allocate(ramBlocks, vcpuCount, reserve);
    const control = ControlBlock.allocate(vcpuCount, startPaused ? ['ownership'] : []);
    const handles: WorkloadMachineHandles = {
      description,
      memory: memory.handles(),
      control: control.shared,
      registers: initialRegisters(description),
      device: new SharedArrayBuffer(CONSOLE_BYTES),
      mailbox: Mailbox.allocate(workloadConfig(description).spec, vcpuCount).shared,
    };
    const machine = new WorkloadMachine(handles, memory, systemClock());
    try {
      for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) machine.startVcpu(vcpu);
      await machine.control.started();
      machine.control.guestClock.follow();
      if (startPaused) await machine.pause('ownership');
      return machine;
    } catch (error) {
      await machine.destroy();
      throw machine.workers.firstDeath ?? error;
    }
  }

  /**
   * Tells of a vCPU that ended by itself; the guest cannot go on. At once if that has happened
   * already.
   */
  onVcpuDeath(listener: (error: SternaError) => void): void {
    this.workers.onDeath(listener);
  }

  /** Ends the vCPUs. The object is of no more use. */
  destroy(): Promise<void> {
    return this.workers.end();
  }

  private startVcpu(vcpu: number): void {
    const workerData: VcpuWorkerData = { vcpu, handles: this.shared };
    this.workers.start(vcpu, workerUrl('vcpu', import.meta.url), workerData);
  }
}

function initialRegisters(description: MachineDescription): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(description.vcpuCount * REGISTER_BYTES);
  const seed = Number(description.config.seed);
  for (const [vcpu, registers] of registersOf(shared).entries()) {
    // A sequence of its own for each vCPU; 0 is the one state that xorshift never leaves.
    registers.random =
      (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(vcpu + 1, 0xc2b2ae35)) >>> 0 || 1;
  }
  return shared;
}
