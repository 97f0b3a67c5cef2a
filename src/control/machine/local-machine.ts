import type { Logger } from '../../base/index.ts';
import {
  AttachedMachine,
  AttachedRiscv,
  installTrace,
  machineDescription,
  parseWorkloadSpec,
  RISCV_MACHINE_BYTES_MAX,
  RISCV_MACHINE_TYPE,
  RiscvMachine,
  type RiscvMachineHandles,
  readReplayedTrace,
  refusal,
  refuseRiscv,
  splitRam,
  WorkloadMachine,
  type WorkloadMachineHandles,
} from '../../guest/index.ts';
import {
  type Machine,
  type MachineDescription,
  type MachineRefusal,
  MemoryReserve,
} from '../../guestmem/index.ts';
import type { GuestOptions, WorkloadGuestOptions } from '../agent-options.ts';
import { describeBoard } from './board-guest.ts';
import { DriveLocks, type DriveUser } from './drive-locks.ts';
import type { HostDevices } from './host-devices.ts';

/**
 * The kinds of machines that an agent can have; another kind is added in this folder, and nothing
 * else in control moves.
 */
export type LocalMachine = WorkloadMachine | RiscvMachine;
export type MachineHandles = WorkloadMachineHandles | RiscvMachineHandles;

/** A guest to build, and what it has in its RAM before it runs. */
export interface DescribedGuest {
  readonly description: MachineDescription;
  readonly furnish: ((machine: LocalMachine) => void) | undefined;
}

/**
 * The guest that the options of a source ask for. Throws E_CONFIG_INVALID, E_FILE, for a recorded
 * guest E_TRACE, for one that boots a kernel E_GUEST_IMAGE.
 */
export function describeGuest(
  name: string,
  uuid: string,
  options: GuestOptions,
  devices: HostDevices,
): DescribedGuest {
  if ('workload' in options) return describeWorkload(name, uuid, options);
  const { description, furnish } = describeBoard(name, uuid, options, devices);
  return { description, furnish: (machine) => isBoard(machine) && furnish(machine) };
}

/** Whether it is the RISC-V board, with a serial line and disks. */
export function isBoard(machine: LocalMachine): machine is RiscvMachine {
  return machine instanceof RiscvMachine;
}

/** Memory for any guest of `ramBytes`, resident before it comes. Throws E_NO_MEMORY. */
export function preallocate(ramBytes: number): MemoryReserve {
  return new MemoryReserve(splitRam(ramBytes), RISCV_MACHINE_BYTES_MAX);
}

/** Why this machine cannot be built here, or undefined. `drives`: what is here for its disks. */
export function machineRefusal(
  description: MachineDescription,
  drives: HostDevices['shapes'],
): MachineRefusal | undefined {
  if (description.type === RISCV_MACHINE_TYPE) return refuseRiscv(description, drives);
  return refusal(description);
}

/** Before the machine is created. Throws E_DRIVE_LOCKED. */
export function lockDrives(
  { type, uuid }: MachineDescription,
  { drives }: HostDevices,
  user: Omit<DriveUser, 'uuid'>,
  log: Logger,
): DriveLocks {
  return DriveLocks.take(type === RISCV_MACHINE_TYPE ? drives : [], { ...user, uuid }, log);
}

/**
 * RAM and vCPUs, paused for the reason `ownership`. Rejects with E_NO_MEMORY, E_WORKER_DIED or
 * E_CONFIG_INVALID.
 */
export function createMachine(
  description: MachineDescription,
  { drives }: HostDevices,
  reserve?: MemoryReserve,
): Promise<LocalMachine> {
  const creation = { description, startPaused: true, reserve };
  if (description.type === RISCV_MACHINE_TYPE) return RiscvMachine.create({ ...creation, drives });
  return WorkloadMachine.create(creation);
}

/** The same machine in another thread of this process. */
export function attachMachine(handles: MachineHandles): Machine {
  return 'board' in handles ? AttachedRiscv.attach(handles) : AttachedMachine.attach(handles);
}

function describeWorkload(
  name: string,
  uuid: string,
  { ramBytes, vcpuCount, workload, seed }: WorkloadGuestOptions,
): DescribedGuest {
  const spec = parseWorkloadSpec(workload);
  const common = { name, uuid, ramBytes, vcpuCount, seed };
  if (spec.kind !== 'trace') {
    return { description: machineDescription({ ...common, spec }), furnish: undefined };
  }
  const replayed = readReplayedTrace(spec, ramBytes, vcpuCount);
  return {
    description: machineDescription({ ...common, spec: replayed.spec }),
    furnish: (machine) => {
      if (!isBoard(machine)) installTrace(machine, replayed);
    },
  };
}
