import { type Command, Option } from 'commander';
import { LOG_LEVELS, type LogLevel, parseFaultPoint } from '../../base/index.ts';
// The options type only: the agent itself is loaded when one is started, so that `sterna info`
// starts quickly.
import type { AgentOptions, SecuritySettings } from '../../control/index.ts';
import {
  collect,
  parseName,
  parsePath,
  parseQmpAddress,
  parseServiceAddress,
} from '../arguments.ts';
import type { CliContext } from '../context.ts';
import type { ExitCode } from '../exit-codes.ts';
import {
  type DeviceCommandOptions,
  deviceOptions,
  withDeviceOptions,
} from '../options/board-options.ts';

/** The options that a source and a destination share. */
export interface AgentCommandOptions extends DeviceCommandOptions {
  readonly name: string;
  readonly qmp?: readonly string[];
  readonly service?: string;
  readonly stateDir?: string;
  readonly logLevel: LogLevel;
  readonly exitWithParent?: true;
  readonly tlsDir?: string;
  readonly pskFile?: string;
  readonly pskIdentity?: string;
  readonly tlsHostname?: string;
  readonly allowPeer?: readonly string[];
  readonly insecure?: true;
}

export function withAgentOptions(command: Command): Command {
  return withDeviceOptions(withKeyOptions(command))
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
    .option(
      '--service <address>',
      'where clients of a stream or erp guest connect while it is here, tcp:HOST:PORT (port 0: any)',
      parseServiceAddress,
    )
    .option('--state-dir <directory>', 'for ownership records and the default socket')
    .addOption(
      new Option('--log-level <level>', 'of the log on standard error')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addOption(new Option('--exit-with-parent', 'end when standard input closes').hideHelp());
}

/** Who may be at the other end of a migration, and how that is proved. */
function withKeyOptions(command: Command): Command {
  return command
    .option('--tls-dir <directory>', 'certificates, under the names of QEMU', parsePath)
    .addOption(
      new Option('--psk-file <file>', 'pre-shared keys, lines identity:hexkey')
        .argParser(parsePath)
        .conflicts('tlsDir'),
    )
    .option('--psk-identity <name>', 'the line of --psk-file to use (default: the first)')
    .option('--tls-hostname <name>', "expected in the destination's certificate, not its address")
    .option(
      '--allow-peer <name>',
      'a peer that may migrate here or be migrated to; may be repeated (default: all with a valid key)',
      collect((text) => text),
    )
    .option('--insecure', 'migrate from and to other hosts without encryption');
}

/** What both kinds of agent are started with. */
export function commonAgentOptions(options: AgentCommandOptions) {
  const { name, qmp = [], logLevel, service } = options;
  const served = service === undefined ? {} : { service };
  const security = securityOf(options);
  return { name, qmp, logLevel, security, ...served, ...deviceOptions(options) };
}

function securityOf(options: AgentCommandOptions): SecuritySettings {
  const { tlsDir, pskFile, pskIdentity, tlsHostname, allowPeer, insecure } = options;
  return {
    ...(tlsDir === undefined ? {} : { tlsDirectory: tlsDir }),
    ...(pskFile === undefined ? {} : { pskFile }),
    ...(pskIdentity === undefined ? {} : { pskIdentity }),
    ...(tlsHostname === undefined ? {} : { tlsHostname }),
    ...(allowPeer === undefined ? {} : { allowedPeers: allowPeer }),
    insecure: insecure === true,
  };
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
