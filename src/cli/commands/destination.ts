import { parseMigrationUri, parseRam, parseUuid } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';
import {
  type AgentCommandOptions,
  commonAgentOptions,
  runAgent,
  withAgentOptions,
} from './agent-command.ts';
import type { AddCommand } from './command.ts';

interface DestinationOptions extends AgentCommandOptions {
  readonly listen: string;
  readonly paused?: true;
  readonly uuid?: string;
  readonly prealloc?: number;
}

export const addDestination: AddCommand = (program, context, run) => {
  const command = program
    .command('destination')
    .summary('wait for a guest and run it')
    .description(
      'Waits for a guest. Prints one JSON line on standard output when it listens; logs go to standard error.',
    );
  withAgentOptions(command)
    .requiredOption(
      '--listen <uri>',
      'tcp:HOST:PORT (port 0: any), or file:PATH to load',
      parseMigrationUri,
    )
    .option('--paused', "load the guest and do not start it (QEMU's -S)")
    .option(
      '--prealloc <size>',
      'make RAM for a guest of this size resident before it comes',
      parseRam,
    )
    .option(
      '--uuid <uuid>',
      'the only guest to accept from a source with validate-uuid=on',
      parseUuid,
    )
    .action((options: DestinationOptions) => run(() => destination(context, options)));
};

function destination(context: CliContext, options: DestinationOptions): Promise<ExitCode> {
  const agentOptions = {
    ...commonAgentOptions(options),
    role: 'destination' as const,
    listen: options.listen,
    startPaused: options.paused === true,
    ...(options.prealloc === undefined ? {} : { preallocateBytes: options.prealloc }),
    ...(options.uuid === undefined ? {} : { expectedUuid: options.uuid }),
  };
  return runAgent(context, agentOptions, options);
}
