import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import {
  machineDescription,
  parseWorkloadSpec,
  WorkloadMachine,
} from '../../../src/guest/index.ts';
import { registersOf } from '../../../src/guest/shared-state.ts';
import type { MachineDescription, RamBlockDescription } from '../../../src/guestmem/index.ts';

export const MIB = 2 ** 20;

export interface GuestOptions {
  readonly ramBytes?: number;
  readonly vcpuCount?: number;
  readonly seed?: number;
  readonly startPaused?: boolean;
  readonly ramBlocks?: readonly RamBlockDescription[];
}

export function describeGuest(spec: string, options: GuestOptions = {}): MachineDescription {
  const description = machineDescription({
    name: 'guest',
    uuid: randomUUID(),
    ramBytes: options.ramBytes ?? 16 * MIB,
    vcpuCount: options.vcpuCount ?? 2,
    spec: parseWorkloadSpec(spec),
    seed: options.seed ?? 42,
  });
  return { ...description, ramBlocks: options.ramBlocks ?? description.ramBlocks };
}

/** Two blocks of unequal size, so that ranges and parts cross the border. */
export const TWO_BLOCKS: readonly RamBlockDescription[] = [
  { name: 'low', bytes: 6 * MIB },
  { name: 'high', bytes: 10 * MIB },
];

/** A guest that ends with the test. */
export async function startGuest(
  spec: string,
  options: GuestOptions = {},
): Promise<WorkloadMachine> {
  return guestOf(describeGuest(spec, options), options.startPaused ?? false);
}

export async function guestOf(
  description: MachineDescription,
  startPaused: boolean,
): Promise<WorkloadMachine> {
  const machine = await WorkloadMachine.create({ description, startPaused });
  onTestFinished(() => machine.destroy());
  return machine;
}

/** Resolves when the guest has made that many more accesses. */
export async function letWrite(machine: WorkloadMachine, pages: number): Promise<void> {
  const target = accesses(machine) + pages;
  while (accesses(machine) < target) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when each vCPU has made that many writes since the guest's start. */
export async function letEachVcpuWrite(machine: WorkloadMachine, pages: number): Promise<void> {
  const registers = registersOf(machine.handles().registers);
  while (registers.some(({ writes }) => writes < pages)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export function accesses(machine: WorkloadMachine): number {
  const { writes, reads } = machine.progress();
  return writes + reads;
}
