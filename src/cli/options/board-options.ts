import type { Command } from 'commander';
import type { DeviceOptions } from '../../control/index.ts';
import { collect, parseInteger, parsePath } from '../arguments.ts';

/** The options of an agent about what is behind the devices of its guest here. */
export interface DeviceCommandOptions {
  readonly serial?: string;
  readonly drive?: readonly string[];
}

export function withDeviceOptions(command: Command): Command {
  return command
    .option(
      '--serial <where>',
      'the console of a virt-riscv64 guest: stdio, unix:PATH, tcp:HOST:PORT, file:PATH or null (default: null); behind a socket ,server=on to listen there and wait for the first client, ,server=on,wait=off not to wait',
    )
    .option(
      '--drive <spec>',
      'a disk of a virt-riscv64 guest, file=PATH,format=raw[,readonly=on]; may be repeated',
      collect((text) => text),
    );
}

export function deviceOptions({ serial, drive }: DeviceCommandOptions): DeviceOptions {
  return {
    ...(serial === undefined ? {} : { serial }),
    ...(drive === undefined ? {} : { drives: drive }),
  };
}

/** The options of a source about a virt-riscv64 guest. */
export interface BoardCommandOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly deterministic?: true;
  readonly haltAt?: number;
}

export function withBoardOptions(command: Command): Command {
  return command
    .option('--kernel <file>', 'of a virt-riscv64 guest: a flat Image or an ELF', parsePath)
    .option('--initrd <file>', 'its initial RAM disk', parsePath)
    .option('--append <text>', "the kernel's command line")
    .option(
      '--deterministic',
      'time from the count of instructions: the same input gives the same RAM, moved or not',
    )
    .option(
      '--halt-at <count>',
      'stand still for good after so many instructions (with --deterministic)',
      parseInteger(1, Number.MAX_SAFE_INTEGER),
    );
}
