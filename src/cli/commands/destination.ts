import { SternaError } from '../../base/index.ts';
import { isLoopbackAddress, parseMigrationUri, parseRam, parseUuid } from '../arguments.ts';
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
  readonly insecure?: true;
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
    .option('--insecure', 'let --listen be reached from other hosts, without encryption')
    .option(
      '--uuid <uuid>',
      'the only guest to accept from a source with validate-uuid=on',
      parseUuid,
    )
    .action((options: DestinationOptions) => run(() => destination(context, options)));
};

function destination(context: CliContext, options: DestinationOptions): Promise<ExitCode> {
  requireLoopback(options);
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

/** The stream is neither encrypted nor authenticated: who reaches the port can send a guest. */
function requireLoopback({ listen, insecure }: DestinationOptions): void {
  if (!listen.startsWith('tcp:') || isLoopbackAddress(listen) || insecure) return;
  throw new SternaError('E_CONFIG_INVALID', `Other hosts could reach ${listen} without a key`, {
    detail: { expected: 'an address of this host such as tcp:127.0.0.1:0, or --insecure as well' },
  });
}
