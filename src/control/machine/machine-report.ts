import type { AttachedMachine, AttachedRiscv } from '../../guest/index.ts';
import { isBoard, type LocalMachine } from './local-machine.ts';

export interface VcpuSummary {
  readonly index: number;
  readonly threadId: number;
  readonly target: string;
}

export function vcpuSummaries(machine: LocalMachine): readonly VcpuSummary[] {
  const { type, vcpuCount } = machine.description;
  return Array.from({ length: vcpuCount }, (_, index) => ({
    index,
    // Node does not tell the system's number of a worker thread.
    threadId: process.pid,
    target: isBoard(machine) ? 'riscv64' : type,
  }));
}

/** What the guest does and how far it is. */
export function machineReport(machine: LocalMachine): Readonly<Record<string, unknown>> {
  const { description } = machine;
  return {
    type: description.type,
    uuid: description.uuid,
    'vcpu-count': description.vcpuCount,
    'ram-bytes': description.ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0),
    ...description.config,
    ...(isBoard(machine) ? boardReport(machine) : workloadReport(machine)),
    'guest-time-ms': machine.guestTimeMs(),
    'busy-ms': machine.busyMs(),
    heartbeats: machine.heartbeats().map((beat) => ({
      vcpu: beat.vcpu,
      'first-step-ms': beat.firstStepMs,
      'last-step-ms': beat.lastStepMs,
      'longest-gap-ms': beat.longestGapMs,
    })),
  };
}

function workloadReport(machine: AttachedMachine): Readonly<Record<string, unknown>> {
  const { booted, writes, reads, ticks } = machine.progress();
  return { booted, writes, reads, ticks, console: machine.consoleText() };
}

function boardReport(machine: AttachedRiscv): Readonly<Record<string, unknown>> {
  return {
    instructions: Number(machine.steps),
    pc: machine.programCounters.map((pc) => `0x${pc.toString(16)}`),
    event: machine.event?.kind ?? null,
  };
}
