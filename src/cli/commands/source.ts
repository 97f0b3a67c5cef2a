import { CommanderError, Option } from 'commander';
import type { GuestOptions } from '../../control/index.ts';
import { parsePath, parseRam, parseSeed, parseUuid, parseVcpuCount } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';
import { type BoardCommandOptions, withBoardOptions } from '../options/board-options.ts';
import {
  type AgentCommandOptions,
  commonAgentOptions,
  runAgent,
  withAgentOptions,
} from './agent-command.ts';
import type { AddCommand } from './command.ts';

const MACHINES = ['workload', 'virt-riscv64'] as const;

interface SourceOptions extends AgentCommandOptions, BoardCommandOptions {
  readonly machine: (typeof MACHINES)[number];
  readonly ram?: number;
  readonly vcpus: number;
  readonly workload?: string;
  readonly seed: number;
  readonly uuid?: string;
  readonly takeOwnership?: true;
  readonly resumeSpill?: string;
  readonly recordTrace?: string;
}

export const addSource: AddCommand = (program, context, run) => {
  const command = program
    .command('source')
    .summary('run a guest that can be migrated away')
    .description(
      'Runs a guest. Prints one JSON line on standard output when it is ready; logs go to standard error.',
    );
  withBoardOptions(withAgentOptions(command))
    .addOption(
      new Option('--machine <kind>', 'what kind of guest').choices(MACHINES).default('workload'),
    )
    .option('--ram <size>', 'of the guest, 16M to 16G (virt-riscv64: to 2G)', parseRam)
    .option('--vcpus <count>', '1 to 16', parseVcpuCount, 1)
    .option(
      '--workload <spec>',
      'what the guest does: idle, memwrite, ab, lmbench, stream, erp or trace with keys, for example memwrite,fill=64M,hot=8M,rate=2000',
    )
    .option('--seed <number>', 'of the random numbers of the workload', parseSeed, 1)
    .option('--uuid <uuid>', 'of the guest (default: a random one)', parseUuid)
    .option(
      '--take-ownership',
      'build the guest though by its record it may live elsewhere: it does not, and never will',
    )
    .option('--record-trace <file>', 'record what the guest dirties (docs/trace.md)', parsePath)
    .option(
      '--resume-spill <file>',
      'instead of a guest: go on with a migration whose source was lost, from its page spill',
      parsePath,
    )
    .action((options: SourceOptions) => run(() => source(context, options)));
};

function source(context: CliContext, options: SourceOptions): Promise<ExitCode> {
  const { resumeSpill, recordTrace } = options;
  if (resumeSpill !== undefined) return goOn(context, resumeSpill, options);
  const machine = guestOptions(options);
  const common = commonAgentOptions(options);
  const takeOwnership = options.takeOwnership === true;
  const recorded = recordTrace === undefined ? {} : { recordTrace };
  const agentOptions = { ...common, role: 'source', machine, takeOwnership, ...recorded } as const;
  return runAgent(context, agentOptions, options);
}

function guestOptions(options: SourceOptions): GuestOptions {
  const { machine, ram, vcpus, workload, seed, uuid } = options;
  const { kernel, initrd, append, deterministic, haltAt } = options;
  const common = { vcpuCount: vcpus, seed, ...(uuid === undefined ? {} : { uuid }) };
  if (machine === 'workload') {
    if (ram === undefined || workload === undefined) {
      throw wrongUsage('A source needs --ram and --workload for its guest');
    }
    const others = { kernel, initrd, append, deterministic, 'halt-at': haltAt };
    refuseAny(others, 'is of --machine virt-riscv64');
    return { ...common, ramBytes: ram, workload };
  }
  if (ram === undefined || kernel === undefined) {
    throw wrongUsage('A source with --machine virt-riscv64 needs --ram and --kernel');
  }
  refuseAny({ workload }, 'is of --machine workload');
  if (haltAt !== undefined && !deterministic) {
    throw wrongUsage('--halt-at counts instructions: it needs --deterministic');
  }
  return {
    ...common,
    ramBytes: ram,
    kernel,
    deterministic: deterministic === true,
    ...(initrd === undefined ? {} : { initrd }),
    ...(append === undefined ? {} : { append }),
    ...(haltAt === undefined ? {} : { haltAt }),
  };
}

function refuseAny(options: Readonly<Record<string, unknown>>, why: string): void {
  const given = Object.keys(options).find((name) => options[name] !== undefined);
  if (given !== undefined) throw wrongUsage(`Option --${given} ${why}`);
}

/** The guest is that of the page spill, and never runs here. */
function goOn(context: CliContext, resumeSpill: string, options: SourceOptions): Promise<ExitCode> {
  const { uuid, ram, workload, kernel, recordTrace, takeOwnership } = options;
  const others = [ram, workload, kernel, recordTrace, takeOwnership];
  if (others.some((given) => given !== undefined)) {
    throw wrongUsage('With --resume-spill no other option describes the guest');
  }
  const expected = uuid === undefined ? {} : { expectedUuid: uuid };
  const common = commonAgentOptions(options);
  return runAgent(context, { ...common, role: 'source', resumeSpill, ...expected }, options);
}

/** As commander itself says it of an option. */
function wrongUsage(message: string): CommanderError {
  return new CommanderError(1, 'commander.error', message);
}
