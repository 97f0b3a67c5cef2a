import { type Command, Option } from 'commander';
import { LOG_LEVELS, type LogLevel, parseFaultPoint } from '../../base/index.ts';
// The options type only: the agent itself is loaded when one is started, so that `sterna info`
// starts quickly.
import type { AgentOptions } from '../../control/index.ts';
import { collect, parseName, parseQmpAddress } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';

/** The options that a source and a destination share. */
export interface AgentCommandOptions {
  readonly name: string;
  readonly qmp?: readonly string[];
  readonly stateDir?: string;
  readonly logLevel: LogLevel;
  readonly exitWithParent?: true;
}

export function withAgentOptions(command: Command): Command {
  return command
    .requiredOption(
      '--name <name>',
      'of the agent; its state directory is named after it',
      parseName,
    )
    .option(
      '--qmp <address>',
      'control socket, unix:PATH or tcp:HOST:PORT; may be repeated (default: qmp.sock in the state directory)',
      collect(parseQmpAddress),
    )
    .option('--state-dir <directory>', 'for ownership records and the default socket')
    .addOption(
      new Option('--log-level <level>', 'of the log on standard error')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addOption(new Option('--exit-with-parent', 'end when standard input closes').hideHelp());
}

/** What both kinds of agent are started with. */
export function commonAgentOptions({ name, qmp = [], logLevel }: AgentCommandOptions) {
  return { name, qmp, logLevel };
}

/**
 * Starts the agent, prints its ready line, and runs until it ends. The agent itself heeds SIGINT
 * and SIGTERM: it has a guest to think of.
 */
export async function runAgent(
  context: CliContext,
  agentOptions: AgentOptions,
  options: AgentCommandOptions,
): Promise<ExitCode> {
  const { defaultStateDirectory, startAgent } = await import('../../control/index.ts');
  const stateDir = options.stateDir ?? defaultStateDirectory(options.name, context.environment);
  const { STERNA_FAULT: text } = context.environment;
  const fault = text === undefined ? {} : { fault: parseFaultPoint(text) };
  const agent = await startAgent({ ...agentOptions, stateDir, ...fault });
  if (options.exitWithParent) context.onInputClosed(() => void agent.close());
  context.stdout.write(`${JSON.stringify({ event: 'ready', ...agent.ready })}\n`);
  // The agent says 0, or 1 when it could not go on: both are exit codes.
  return (await agent.closed) as ExitCode;
}
