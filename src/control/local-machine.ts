import {
  AttachedMachine,
  machineDescription,
  parseWorkloadSpec,
  splitRam,
  WorkloadMachine,
  type WorkloadMachineHandles,
} from '../guest/index.ts';
import { type Machine, type MachineDescription, MemoryReserve } from '../guestmem/index.ts';
import type { GuestOptions } from './agent-options.ts';

/**
 * The kinds of machines that an agent can have; another kind is added here, and nothing else in
 * control moves.
 */
export type LocalMachine = WorkloadMachine;
export type MachineHandles = WorkloadMachineHandles;

export { refusal } from '../guest/index.ts';

export interface VcpuSummary {
  readonly index: number;
  readonly threadId: number;
  readonly target: string;
}

/** The guest that the options of a source ask for. Throws E_CONFIG_INVALID. */
export function describeGuest(
  name: string,
  uuid: string,
  options: GuestOptions,
): MachineDescription {
  const { ramBytes, vcpuCount, workload, seed } = options;
  const spec = parseWorkloadSpec(workload);
  return machineDescription({ name, uuid, ramBytes, vcpuCount, spec, seed });
}

/** Memory for a guest of `ramBytes`, resident before it comes. Throws E_NO_MEMORY. */
export function preallocate(ramBytes: number): MemoryReserve {
  return new MemoryReserve(splitRam(ramBytes));
}

/**
 * RAM and vCPUs, paused for the reason `ownership`. Rejects with E_NO_MEMORY, E_WORKER_DIED or
 * E_CONFIG_INVALID.
 */
export function createMachine(
  description: MachineDescription,
  reserve?: MemoryReserve,
): Promise<LocalMachine> {
  return WorkloadMachine.create({ description, startPaused: true, reserve });
}

/** The same machine in another thread of this process. */
export function attachMachine(handles: MachineHandles): Machine {
  return AttachedMachine.attach(handles);
}

export function vcpuSummaries(machine: LocalMachine): readonly VcpuSummary[] {
  const { type, vcpuCount } = machine.description;
  return Array.from({ length: vcpuCount }, (_, index) => ({
    index,
    // Node does not tell the system's number of a worker thread.
    threadId: process.pid,
    target: type,
  }));
}

/** What the guest does and how far it is. */
export function machineReport(machine: LocalMachine): Readonly<Record<string, unknown>> {
  const { description } = machine;
  const { booted, writes, reads, ticks } = machine.progress();
  return {
    type: description.type,
    uuid: description.uuid,
    'vcpu-count': description.vcpuCount,
    'ram-bytes': description.ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0),
    ...description.config,
    booted,
    writes,
    reads,
    ticks,
    'guest-time-ms': machine.guestTimeMs(),
    console: machine.consoleText(),
    heartbeats: machine.heartbeats().map((beat) => ({
      vcpu: beat.vcpu,
      'first-step-ms': beat.firstStepMs,
      'last-step-ms': beat.lastStepMs,
      'longest-gap-ms': beat.longestGapMs,
    })),
  };
}
