import {
  formatBytes,
  isWholeIn,
  NAME_LENGTH_MAX,
  PAGE_BYTES,
  RAM_BLOCK_BYTES_MAX,
  RAM_BYTES_MAX,
  RAM_BYTES_MIN,
  SternaError,
  VCPU_COUNT_MAX,
} from '../base/index.ts';
import type { MachineDescription, MachineRefusal, RamBlockDescription } from '../guestmem/index.ts';
import {
  checkWorkloadFits,
  formatWorkloadSpec,
  parseWorkloadSpec,
  type WorkloadSpec,
} from './workload/workload-spec.ts';

const WORKLOAD_MACHINE_TYPE = 'workload';
const WORKLOAD_MACHINE_VERSION = 1;

const RAM_RANGE = `${formatBytes(RAM_BYTES_MIN)} to ${formatBytes(RAM_BYTES_MAX)}`;

export interface WorkloadMachineOptions {
  readonly name: string;
  readonly uuid: string;
  readonly ramBytes: number;
  readonly vcpuCount: number;
  readonly spec: WorkloadSpec;
  readonly seed: number;
}

/** RAM in blocks as large as they may be. */
export function splitRam(ramBytes: number): RamBlockDescription[] {
  const ramBlocks: RamBlockDescription[] = [];
  for (let left = ramBytes; left > 0; left -= RAM_BLOCK_BYTES_MAX) {
    ramBlocks.push({ name: `ram${ramBlocks.length}`, bytes: Math.min(left, RAM_BLOCK_BYTES_MAX) });
  }
  return ramBlocks;
}

/** The script of a trace has a block of its own, behind all others. */
function scriptBlocks(spec: WorkloadSpec): RamBlockDescription[] {
  if (spec.kind !== 'trace') return [];
  const bytes = Math.ceil(spec.scriptBytes / PAGE_BYTES) * PAGE_BYTES;
  return [{ name: 'trace', bytes }];
}

/**
 * The description of a workload machine, its RAM in blocks as large as they may be. Throws
 * E_CONFIG_INVALID.
 */
export function machineDescription(options: WorkloadMachineOptions): MachineDescription {
  const { name, uuid, ramBytes, vcpuCount, spec, seed } = options;
  if (!isWholeIn(ramBytes, RAM_BYTES_MIN, RAM_BYTES_MAX) || ramBytes % PAGE_BYTES !== 0) {
    throw new SternaError('E_CONFIG_INVALID', `RAM of ${ramBytes} bytes is not supported`, {
      detail: { ramBytes, allowed: `${RAM_RANGE}, in pages of ${PAGE_BYTES} bytes` },
    });
  }
  const description: MachineDescription = {
    type: WORKLOAD_MACHINE_TYPE,
    version: WORKLOAD_MACHINE_VERSION,
    name,
    uuid,
    vcpuCount,
    ramBlocks: [...splitRam(ramBytes), ...scriptBlocks(spec)],
    config: { workload: formatWorkloadSpec(spec), seed },
  };
  checkWorkloadFits(spec, ramBytesOf(description.ramBlocks), vcpuCount);
  const refused = refusal(description);
  if (refused !== undefined)
    throw new SternaError('E_CONFIG_INVALID', refused.message, { detail: { vcpuCount, seed } });
  return description;
}

/**
 * Why this machine cannot be built, or undefined. The description may come from a peer: nothing of
 * it is trusted.
 */
export function refusal(description: MachineDescription): MachineRefusal | undefined {
  return refuseKind(description) ?? refuseRam(description.ramBlocks) ?? refuseWorkload(description);
}

/** What a description that was not refused says about the workload. */
export function workloadConfig(description: MachineDescription): {
  readonly spec: WorkloadSpec;
  readonly seed: number;
} {
  const { workload, seed } = description.config;
  return { spec: parseWorkloadSpec(String(workload)), seed: Number(seed) };
}

function ramBytesOf(blocks: readonly RamBlockDescription[]): number {
  return blocks.reduce((bytes, block) => bytes + block.bytes, 0);
}

function refuseKind(description: MachineDescription): MachineRefusal | undefined {
  const { type, version, vcpuCount, name } = description;
  if (type !== WORKLOAD_MACHINE_TYPE) {
    return machineRefusal(
      `Machine type ${JSON.stringify(type)} is unknown here; this is ${WORKLOAD_MACHINE_TYPE}`,
    );
  }
  if (version !== WORKLOAD_MACHINE_VERSION) {
    return machineRefusal(
      `Machine version ${version} is not supported; this is ${WORKLOAD_MACHINE_VERSION}`,
    );
  }
  if (!isWholeIn(vcpuCount, 1, VCPU_COUNT_MAX)) {
    return machineRefusal(`A machine has 1 to ${VCPU_COUNT_MAX} vCPUs, not ${vcpuCount}`);
  }
  if (typeof name !== 'string' || name.length > NAME_LENGTH_MAX) {
    return machineRefusal(`The machine's name is longer than ${NAME_LENGTH_MAX} characters`);
  }
  return undefined;
}

function refuseRam(blocks: readonly RamBlockDescription[]): MachineRefusal | undefined {
  const code = 'E_HANDSHAKE_RAM_LAYOUT';
  if (!Array.isArray(blocks)) return { code, message: 'The machine has no RAM blocks' };
  for (const { name, bytes } of blocks) {
    if (!isWholeIn(bytes, PAGE_BYTES, RAM_BLOCK_BYTES_MAX) || bytes % PAGE_BYTES !== 0) {
      return { code, message: `RAM block ${JSON.stringify(name)} cannot have ${bytes} bytes` };
    }
  }
  if (new Set(blocks.map(({ name }) => name)).size !== blocks.length) {
    return { code, message: 'Two RAM blocks have the same name' };
  }
  const bytes = ramBytesOf(blocks);
  if (!isWholeIn(bytes, RAM_BYTES_MIN, RAM_BYTES_MAX)) {
    return { code, message: `RAM is ${RAM_RANGE}, not ${formatBytes(bytes)}` };
  }
  // Each block costs a reservation of address space and a few MiB of tables, however small it is.
  if (blocks.length > RAM_BYTES_MAX / RAM_BLOCK_BYTES_MAX) {
    return { code, message: `RAM in ${blocks.length} blocks is not supported` };
  }
  return undefined;
}

function refuseWorkload({
  config,
  ramBlocks,
  vcpuCount,
}: MachineDescription): MachineRefusal | undefined {
  if (typeof config?.workload !== 'string') return machineRefusal('The machine names no workload');
  if (!isWholeIn(config.seed, 0, 2 ** 32 - 1))
    return machineRefusal('The seed is not a whole number below 2^32');
  try {
    checkWorkloadFits(parseWorkloadSpec(config.workload), ramBytesOf(ramBlocks), vcpuCount);
    return undefined;
  } catch (error) {
    if (error instanceof SternaError) return machineRefusal(error.message);
    throw error;
  }
}

function machineRefusal(message: string): MachineRefusal {
  return { code: 'E_HANDSHAKE_MACHINE', message };
}
