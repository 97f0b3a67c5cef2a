import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Random, toSternaError } from '../../base/index.ts';
import {
  boardConfig,
  type NamedFile,
  planBoot,
  type RiscvMachine,
  riscvDescription,
} from '../../guest/index.ts';
import type { MachineDescription } from '../../guestmem/index.ts';
import type { BoardGuestOptions } from '../agent-options.ts';
import type { HostDevices } from './host-devices.ts';

/** Of the device tree: what the kernel begins its randomness with. */
const RANDOM_SEED_BYTES = 64;

/** A guest that boots a kernel on the RISC-V board, and what it has in its RAM before it runs. */
export interface DescribedBoard {
  readonly description: MachineDescription;
  readonly furnish: (machine: RiscvMachine) => void;
}

/** Throws E_CONFIG_INVALID, E_FILE or E_GUEST_IMAGE. */
export function describeBoard(
  name: string,
  uuid: string,
  options: BoardGuestOptions,
  { shapes }: HostDevices,
): DescribedBoard {
  const { ramBytes, vcpuCount, seed, deterministic = false, haltAt = 0 } = options;
  const machine = { name, uuid, ramBytes, hartCount: vcpuCount, deterministic, haltAt, seed };
  const bare = riscvDescription({ ...machine, tohost: 0, drives: shapes });
  const { kernel, initrd, append = '' } = options;
  const boot = planBoot(boardConfig(bare), {
    kernel: namedFile(kernel),
    ...(initrd === undefined ? {} : { initrd: namedFile(initrd) }),
    bootArguments: append,
    randomSeed: deterministic ? seededBytes(seed) : randomBytes(RANDOM_SEED_BYTES),
  });
  const { tohost = 0 } = boot.symbols;
  const description = riscvDescription({ ...machine, tohost, drives: shapes });
  return { description, furnish: (machine) => machine.furnish(boot) };
}

function namedFile(file: string): NamedFile {
  try {
    return { file, bytes: readFileSync(file) };
  } catch (error) {
    throw toSternaError(error, 'E_FILE', `${file} cannot be read`);
  }
}

function seededBytes(seed: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length: RANDOM_SEED_BYTES }, () => random.below(256));
}
