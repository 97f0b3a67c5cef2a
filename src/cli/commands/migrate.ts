import { CommanderError, Option } from 'commander';
import type { MigrationMode } from '../../base/index.ts';
import {
  parseCacheSize,
  parseInteger,
  parseMigrationUri,
  parseNumber,
  parsePath,
  parsePolicy,
} from '../arguments.ts';
import { type CliContext, coloursFor } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import type { FollowedMigration } from '../migration/follow-migration.ts';
import type { MigrationRequest } from '../migration/migration-request.ts';
import { outcomeOf } from '../migration/outcome.ts';
import { type RunOptions, runMigration, runResumed } from '../migration/run-migration.ts';
import {
  type CompressionOptions,
  compMethodsOption,
  compressionRequest,
} from '../options/compression-options.ts';
import {
  MODES,
  modeOf,
  type PostcopyOptions,
  postcopyRequest,
  timeoutActionOf,
  withPostcopyOptions,
} from '../options/postcopy-options.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import { closingReport } from '../report/closing-report.ts';
import type { AddCommand } from './command.ts';

interface MigrateOptions extends QmpOption, PostcopyOptions, CompressionOptions {
  readonly mode: MigrationMode;
  readonly verbose?: true;
  readonly autoConverge?: true;
  readonly bandwidth?: number;
  readonly downtime?: number;
  readonly timeout?: number;
  readonly timeoutCancel?: true;
  readonly timeoutSuspend?: true;
  readonly verify?: 'after' | 'strict' | 'off';
  readonly policy?: string;
  readonly postcopySpill?: string;
  readonly postcopyJournal?: true;
  readonly postcopyJournalBandwidth?: number;
  readonly postcopyJournalInterval?: number;
  readonly json?: true;
}

const DAY_SECONDS = 86_400;

export const addMigrate: AddCommand = (program, context, run) => {
  const command = program
    .command('migrate')
    .summary('move the guest of a running agent to another one')
    .description(
      'Moves the guest of the agent behind --qmp to the destination that listens at URI.',
    )
    .argument('[uri]', 'tcp:HOST:PORT, or file:PATH', parseMigrationUri);
  withPostcopyOptions(withQmpOption(command))
    .addOption(new Option('--mode <mode>', 'how the RAM moves').choices(MODES).default('precopy'))
    .option('--live', 'accepted as virsh has it: pre-copy is always live')
    .option('--verbose', 'show progress')
    .option('--bandwidth <MiB/s>', 'limit before the switch, 0 for none', parseNumber(0, 2 ** 30))
    .option('--downtime <ms>', 'longest acceptable pause', parseInteger(0, 2_000_000))
    .option('--timeout <s>', 'how long pre-copy may take', parseNumber(0, DAY_SECONDS))
    .addOption(
      new Option('--timeout-cancel', 'after the timeout, cancel').conflicts([
        'timeoutSuspend',
        'timeoutPostcopy',
      ]),
    )
    .option('--timeout-suspend', 'after the timeout, pause the guest and finish (the default)')
    .addOption(compMethodsOption())
    .option('--comp-xbzrle-cache <size>', 'cache of the delta compression', parseCacheSize)
    .addOption(
      new Option('--codec <what>', 'what is sent as LZ4').choices([
        ...(['none', 'auto', 'lz4', 'delta-lz4', 'all'] as const),
      ]),
    )
    .addOption(
      new Option('--verify <when>', 'compare the RAM of both sides').choices([
        'after',
        'strict',
        'off',
      ]),
    )
    .option(
      '--policy <name|file>',
      'what decides after each pass: auto, clark, qemu, svard, or a module of yours',
      parsePolicy,
    )
    .option('--auto-converge', 'slow the guest down when it does not converge')
    .option('--postcopy-spill <directory>', 'keep missing pages there too (post-copy)', parsePath)
    .option('--postcopy-journal', 'in post-copy the destination sends its changes back')
    .option('--postcopy-journal-bandwidth <MiB/s>', 'limit of that', parseNumber(0, 2 ** 30))
    .option('--postcopy-journal-interval <ms>', 'between two points', parseInteger(10, 3_600_000))
    .option('--json', 'JSON lines on standard output: progress, then one result')
    .action((uri: string | undefined, options: MigrateOptions) =>
      run(() => migrate(context, uri, options)),
    );
};

function requestOf(uri: string, options: MigrateOptions): MigrationRequest {
  return {
    uri,
    mode: modeOf(options),
    bandwidthMebibytes: options.bandwidth,
    downtimeMs: options.downtime,
    timeoutSeconds: options.timeout,
    timeoutAction: timeoutActionOf(options),
    ...compressionRequest(options),
    verify: options.verify,
    policy: options.policy,
    autoConverge: options.autoConverge,
    ...postcopyRequest(uri, options),
    postcopySpill: options.postcopySpill,
    postcopyJournal: options.postcopyJournal,
    postcopyJournalMebibytes: options.postcopyJournalBandwidth,
    postcopyJournalIntervalMs: options.postcopyJournalInterval,
  };
}

async function migrate(
  context: CliContext,
  uri: string | undefined,
  options: MigrateOptions,
): Promise<ExitCode> {
  const shown = { json: options.json === true, verbose: options.verbose === true };
  const ended = options.postcopyResume
    ? await withAgent(options.qmp, (qmp) => runResumed(context, qmp, uri, shown))
    : await start(context, uri, options, shown);
  return printOutcome(context, ended, shown.json);
}

function start(
  context: CliContext,
  uri: string | undefined,
  options: MigrateOptions,
  shown: RunOptions,
): Promise<FollowedMigration> {
  if (uri === undefined) {
    const text = "missing required argument 'uri': only --postcopy-resume knows it";
    throw new CommanderError(EXIT_CODES.USAGE, 'commander.missingArgument', text);
  }
  const request = requestOf(uri, options);
  return withAgent(options.qmp, (qmp) => runMigration(context, qmp, request, shown));
}

/** The closing report, or with `--json` the result object; then the lines of a failure. */
export function printOutcome(
  context: CliContext,
  ended: FollowedMigration,
  json: boolean,
  extra: Readonly<Record<string, unknown>> = {},
): ExitCode {
  const { view, reply } = ended;
  const outcome = outcomeOf(view);
  if (json) {
    const result = {
      event: 'result',
      status: view.status,
      'exit-code': outcome.exitCode,
      'guest-owner': view.owner,
      verify: { status: view.verify.status, pages: view.verify.pages },
      ...extra,
      info: reply,
    };
    context.stdout.write(`${JSON.stringify(result)}\n`);
  } else {
    context.stdout.write(`${closingReport(view, coloursFor(context))}\n`);
  }
  for (const line of outcome.lines) context.stderr.write(`${line}\n`);
  return outcome.exitCode;
}
