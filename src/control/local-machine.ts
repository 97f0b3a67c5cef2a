import {
  AttachedMachine,
  installTrace,
  machineDescription,
  parseWorkloadSpec,
  readReplayedTrace,
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

/** A guest to build, and what it has in its RAM before it runs. */
export interface DescribedGuest {
  readonly description: MachineDescription;
  readonly furnish: ((machine: LocalMachine) => void) | undefined;
}

/**
 * The guest that the options of a source ask for. Throws E_CONFIG_INVALID, and for a recorded guest
 * E_TRACE or E_FILE.
 */
export function describeGuest(name: string, uuid: string, options: GuestOptions): DescribedGuest {
  const { ramBytes, vcpuCount, workload, seed } = options;
  const spec = parseWorkloadSpec(workload);
  const common = { name, uuid, ramBytes, vcpuCount, seed };
  if (spec.kind !== 'trace') {
    return { description: machineDescription({ ...common, spec }), furnish: undefined };
  }
  const replayed = readReplayedTrace(spec, ramBytes, vcpuCount);
  return {
    description: machineDescription({ ...common, spec: replayed.spec }),
    furnish: (machine) => installTrace(machine, replayed),
  };
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
