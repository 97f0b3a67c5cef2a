import { PAGE_BYTES, SternaError, systemClock, workerUrl } from '../../base/index.ts';
import {
  ControlBlock,
  dirtyMapAddress,
  GuestMemory,
  type MachineDescription,
  type MemoryReserve,
} from '../../guestmem/index.ts';
import { VcpuWorkers } from '../vcpu-workers.ts';
import { AttachedRiscv } from './attached-riscv.ts';
import { HARTS_MAX, RAM_BASE } from './board/address-map.ts';
import { BoardBlock } from './board/board-block.ts';
import type { BoardEvent } from './board/board-event.ts';
import type { BootPlan } from './board/boot/boot-plan.ts';
import type { DriveSpec } from './board/drive/drive-spec.ts';
import { SerialRing } from './board/serial/serial-ring.ts';
import { HART_AREA_BYTES } from './hart/hart-layout.ts';
import { type HartHost, type HartModule, instantiateHart } from './hart-module.ts';
import type { HartWorkerData } from './hart-thread.ts';
import { refuseRiscv, riscvConfig } from './riscv-description.ts';
import type { RiscvMachineHandles } from './riscv-handles.ts';

/** What such a machine has for itself beside its RAM, at most. */
export const RISCV_MACHINE_BYTES_MAX = HARTS_MAX * HART_AREA_BYTES;

/** A screen or two: who reads slowly makes the guest's transmitter busy. */
const SERIAL_RING_BYTES = 2 ** 14;

const NO_HOST: HartHost = {
  pageMissing: () => 0,
  mmioExists: () => 0,
  mmioRead: () => 0,
  mmioWrite: () => {},
  sbiCall: () => 1,
  timeNow: () => 0,
};

export interface RiscvMachineCreation {
  /** One that `refuseRiscv` does not refuse. */
  readonly description: MachineDescription;
  /** Paused for the reason `ownership`, as on a destination; else it runs at once. */
  readonly startPaused: boolean;
  /** What is behind the guest's disks here. */
  readonly drives: readonly DriveSpec[];
  /** Memory that is resident already, used where it fits. */
  readonly reserve?: MemoryReserve | undefined;
}

/** The RISC-V guest, in the thread that owns its vCPU workers. */
export class RiscvMachine extends AttachedRiscv {
  private readonly workers = new VcpuWorkers(this.control);
  private readonly eventListeners: ((event: BoardEvent) => void)[] = [];

  /**
   * Zeroed RAM, devices as after power-on, every vCPU at its first safepoint. Rejects with
   * E_NO_MEMORY, E_WORKER_DIED or E_CONFIG_INVALID.
   */
  static async create(creation: RiscvMachineCreation): Promise<RiscvMachine> {
    const { description, startPaused, drives, reserve } = creation;
    const refused = refuseRiscv(description);
    if (refused !== undefined) throw new SternaError('E_CONFIG_INVALID', refused.message);
    const { vcpuCount, ramBlocks } = description;
    const machineBytes = vcpuCount * HART_AREA_BYTES;
    const memory = GuestMemory.allocate(ramBlocks, vcpuCount, reserve, machineBytes);
    const handles: RiscvMachineHandles = {
      description,
      memory: memory.handles(),
      // It never runs before it was furnished, or has arrived.
      control: ControlBlock.allocate(vcpuCount, ['ownership']).shared,
      loads: new SharedArrayBuffer(4),
      board: BoardBlock.allocate().shared,
      serialInput: SerialRing.allocate(SERIAL_RING_BYTES).shared,
      serialOutput: SerialRing.allocate(SERIAL_RING_BYTES).shared,
      drives,
    };
    const machine = new RiscvMachine(handles, memory, systemClock());
    machine.board.reset();
    machine.resetHarts((program, hart) => program.hartReset(BigInt(RAM_BASE), BigInt(hart), 0n));
    try {
      for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) machine.startHart(vcpu);
      await machine.control.started();
      await machine.pause('ownership');
      if (!startPaused) machine.resume('ownership');
      return machine;
    } catch (error) {
      await machine.destroy();
      throw machine.workers.firstDeath ?? error;
    }
  }

  /** Puts a guest into the machine, which has not run yet. */
  furnish({ pieces, pc, deviceTreeGpa, hasSbi }: BootPlan): void {
    this.requireParked('furnished');
    const [block] = this.memory.blocks;
    if (block === undefined) return;
    const map = dirtyMapAddress(block.layout, 0, this.memory.activeMap(0));
    for (const { gpa, bytes } of pieces) {
      const at = gpa - RAM_BASE;
      block.ram.set(bytes, at);
      // As if its first vCPU had written it.
      const end = Math.ceil((at + bytes.length) / PAGE_BYTES);
      block.bytes.fill(1, map + Math.floor(at / PAGE_BYTES), map + end);
    }
    this.resetHarts((program, hart) => {
      const reset = hasSbi ? program.hartResetToSupervisor : program.hartReset;
      reset(BigInt(pc), BigInt(hart), BigInt(deviceTreeGpa));
    });
    this.noteLoad();
  }

  /**
   * Tells of a vCPU that ended by itself; the guest cannot go on. At once if that has happened
   * already.
   */
  onVcpuDeath(listener: (error: SternaError) => void): void {
    this.workers.onDeath(listener);
  }

  /** Tells when the guest powers off, resets or fails: it runs no more. */
  onEvent(listener: (event: BoardEvent) => void): void {
    this.eventListeners.push(listener);
  }

  /** Ends the vCPUs. The object is of no more use. */
  destroy(): Promise<void> {
    return this.workers.end();
  }

  /** They stand still; each is reset here, and runs in its worker. */
  private resetHarts(reset: (program: HartModule, hart: number) => void): void {
    const [block] = this.memory.blocks;
    if (block === undefined) return;
    const { ram, pageCount, receivedMap, machineArea } = block.layout;
    const { deterministic } = riscvConfig(this.description);
    const program = instantiateHart(block.memory, NO_HOST);
    for (const [hart, state] of this.harts.entries()) {
      program.hartConfigure(machineArea + hart * HART_AREA_BYTES, ram, pageCount, receivedMap);
      reset(program, hart);
      state.deterministic = deterministic;
    }
  }

  private startHart(vcpu: number): void {
    const workerData: HartWorkerData = { vcpu, handles: this.shared };
    // That is all that hart-thread.ts tells.
    this.workers.start(vcpu, workerUrl('hart', import.meta.url), workerData, (event) => {
      for (const listener of this.eventListeners) listener(event as BoardEvent);
    });
  }
}
