import { type Command, CommanderError, Option } from 'commander';
import type { QmpClient } from '../../control/client/index.ts';
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
import { runMigration, runResumed } from '../migration/run-migration.ts';
import { compMethodsOption, compressionRequest } from '../options/compression-options.ts';
import {
  type ParallelOptions,
  parallelRequest,
  withParallelOptions,
} from '../options/parallel-options.ts';
import {
  MODES,
  modeOf,
  postcopyRequest,
  timeoutActionOf,
  withPostcopyOptions,
} from '../options/postcopy-options.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import {
  namesMode,
  type PlannableOptions,
  planMigration,
  scoreMigration,
} from '../plan/planned-migration.ts';
import { closingReport } from '../report/closing-report.ts';
import { scoreReport, shortPlanReport } from '../report/plan-report.ts';
import type { AddCommand } from './command.ts';

interface MigrateOptions extends QmpOption, PlannableOptions, ParallelOptions {
  readonly plan?: true;
  readonly verbose?: true;
  readonly autoConverge?: true;
  readonly timeoutCancel?: true;
  readonly timeoutSuspend?: true;
  readonly verify?: 'after' | 'strict' | 'off';
  readonly postcopySpill?: string | false;
  readonly postcopyJournal?: boolean;
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
  withPostcopyOptions(withParallelOptions(withQmpOption(command)))
    .addOption(new Option('--mode <mode>', 'how the RAM moves').choices(MODES).default('precopy'))
    .addOption(
      new Option('--plan', 'measure the link and the guest first, and do what is best').conflicts(
        'postcopyResume',
      ),
    )
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
    .option('--no-postcopy-spill', 'do not, if that was set before')
    .option('--postcopy-journal', 'in post-copy the destination sends its changes back')
    .option('--no-postcopy-journal', 'it does not, if that was set before')
    .option('--postcopy-journal-bandwidth <MiB/s>', 'limit of that', parseNumber(0, 2 ** 30))
    .option('--postcopy-journal-interval <ms>', 'between two points', parseInteger(10, 3_600_000))
    .option('--json', 'JSON lines on standard output: progress, then one result')
    .action((uri: string | undefined, options: MigrateOptions, self: Command) => {
      const isModeGiven = self.getOptionValueSource('mode') === 'cli' || namesMode(options);
      return run(() => migrate(context, uri, options, isModeGiven));
    });
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
    ...parallelRequest(uri, options),
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
  isModeGiven: boolean,
): Promise<ExitCode> {
  const shown = { json: options.json === true, verbose: options.verbose === true };
  if (options.postcopyResume) {
    const resumed = await withAgent(options.qmp, (qmp) => runResumed(context, qmp, uri, shown));
    return printOutcome(context, resumed, shown.json);
  }
  if (uri === undefined) throw missingUri();
  refuseLoneAction(options);
  return withAgent(options.qmp, async (qmp) => {
    if (options.plan) return migrateByPlan(context, qmp, uri, options, isModeGiven);
    const ended = await runMigration(context, qmp, requestOf(uri, options), shown);
    return printOutcome(context, ended, shown.json);
  });
}

/** Plans, says so, migrates as was recommended, and says how far the plan was off. */
async function migrateByPlan(
  context: CliContext,
  qmp: QmpClient,
  uri: string,
  options: MigrateOptions,
  isModeGiven: boolean,
): Promise<ExitCode> {
  const json = options.json === true;
  const { plan, options: completed } = await planMigration(qmp, uri, options, isModeGiven);
  const begun = json ? JSON.stringify({ event: 'plan', plan }) : shortPlanReport(plan);
  context.stdout.write(`${begun}\n`);
  const shown = { json, verbose: options.verbose === true };
  const ended = await runMigration(context, qmp, requestOf(uri, completed), shown);
  const isOver = ended.view.status === 'completed';
  const score = isOver ? await scoreMigration(qmp, plan) : undefined;
  const exitCode = printOutcome(context, ended, json, { score: score ?? null });
  if (!json && isOver) {
    const text = score === undefined ? 'The plan has no such migration' : scoreReport(score);
    context.stdout.write(`${text}\n`);
  }
  return exitCode;
}

function missingUri(): CommanderError {
  const text = "missing required argument 'uri': only --postcopy-resume knows it";
  return new CommanderError(EXIT_CODES.USAGE, 'commander.missingArgument', text);
}

/** An action of a timeout that there is not would never be taken. Throws, as virsh does. */
function refuseLoneAction(options: MigrateOptions): void {
  if (options.timeout !== undefined) return;
  const { timeoutCancel, timeoutSuspend, timeoutPostcopy } = options;
  const asked = Object.entries({
    cancel: timeoutCancel,
    suspend: timeoutSuspend,
    postcopy: timeoutPostcopy,
  });
  const [action] = asked.find(([, isAsked]) => isAsked) ?? [];
  if (action === undefined) return;
  const text = `error: option '--timeout-${action}' needs '--timeout <s>'`;
  throw new CommanderError(EXIT_CODES.USAGE, 'commander.missingArgument', text);
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
