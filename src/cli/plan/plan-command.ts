import { writeFile } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { SternaError } from '../../base/index.ts';
import type { Plan } from '../../experiments/plan/index.ts';
import {
  parseInteger,
  parseNumber,
  parsePath,
  parsePolicy,
  parsePortUri,
  parseQmpAddress,
} from '../arguments.ts';
import type { AddCommand } from '../commands/command.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { withAgent } from '../options/qmp-option.ts';
import { planReport, scoreReport } from '../report/plan-report.ts';
import { actualMigration } from './actual-migration.ts';
import { type PlanWishes, planGuest, readTrace } from './guest-plan.ts';
import { type LinkOptions, mustProbe } from './plan-link.ts';

interface PlanCommandOptions extends LinkOptions {
  readonly qmp?: string;
  readonly trace?: string;
  readonly seconds: number;
  readonly downtime?: number;
  readonly policy?: string;
  readonly save?: string;
  readonly score?: string;
  readonly json?: true;
}

export const addPlan: AddCommand = (program, context, run) => {
  program
    .command('plan')
    .summary('say what a migration would take, in every mode, before there is one')
    .description(
      'Measures the link to the destination, records what the guest behind --qmp dirties for a few seconds (or reads --trace), simulates every mode on it, and recommends one.',
    )
    .option(
      '--qmp <address>',
      "the agent's control socket, unix:PATH or tcp:HOST:PORT",
      parseQmpAddress,
    )
    .option('--trace <file>', 'a recorded trace instead of a running guest', parsePath)
    .option('--seconds <s>', 'how long to record', parseNumber(0.1, 60), 3)
    .option('--to <uri>', 'where the destination listens: measure the link', parsePortUri)
    .option('--bandwidth <MiB/s>', 'what that link carries', parseNumber(0.001, 2 ** 30))
    .option('--round-trip <ms>', 'of that link', parseNumber(0, 60_000))
    .option('--downtime <ms>', 'longest acceptable pause', parseInteger(0, 2_000_000))
    .option(
      '--policy <name|file>',
      'that would decide: auto, clark, qemu, svard, or a module of yours',
      parsePolicy,
    )
    .option('--save <file>', 'the plan as JSON, for --score', parsePath)
    .option('--score <file>', 'compare a saved plan with the migration that followed', parsePath)
    .option('--json', 'one JSON object')
    .action((options: PlanCommandOptions) => run(() => plan(context, options)));
};

async function plan(context: CliContext, options: PlanCommandOptions): Promise<ExitCode> {
  if (options.score !== undefined) return score(context, options.score, options);
  const { to, bandwidth } = options;
  if (to === undefined && bandwidth === undefined) {
    throw wrongUsage('A plan needs --to URI of the destination, or --bandwidth of the link');
  }
  const wishes: PlanWishes = {
    link: options,
    seconds: options.seconds,
    trace: options.trace,
    policy: options.policy,
    parameters: options.downtime === undefined ? {} : { downtimeLimitMs: options.downtime },
  };
  const asksNobody = options.trace !== undefined && !mustProbe(options);
  const made = asksNobody
    ? await planGuest(undefined, wishes)
    : await withAgent(agentOf(options), (qmp) => planGuest(qmp, wishes));
  if (options.save !== undefined) await writeFile(options.save, `${JSON.stringify(made)}\n`);
  context.stdout.write(`${options.json ? JSON.stringify(made) : planReport(made)}\n`);
  return EXIT_CODES.OK;
}

async function score(
  context: CliContext,
  path: string,
  options: PlanCommandOptions,
): Promise<ExitCode> {
  const { scorePlan } = await import('../../experiments/plan/index.ts');
  const saved = parsePlan(await readTrace(path), path);
  const actual = await withAgent(agentOf(options), actualMigration);
  const scored = scorePlan(saved, actual);
  if (scored === undefined) {
    throw new SternaError('E_STATE', 'The plan has no such migration', { detail: { ...actual } });
  }
  context.stdout.write(`${options.json ? JSON.stringify(scored) : scoreReport(scored)}\n`);
  return EXIT_CODES.OK;
}

function parsePlan(bytes: Uint8Array, path: string): Plan {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (Array.isArray((value as Plan | null)?.rows)) return value as Plan;
  } catch {
    // The same answer as for JSON of another kind.
  }
  throw new SternaError('E_FILE', 'This is no plan that --save has written', { detail: { path } });
}

function agentOf({ qmp }: PlanCommandOptions): string {
  if (qmp !== undefined) return qmp;
  throw wrongUsage(
    'A plan needs --qmp of a running agent, or --trace of a recorded one and --bandwidth',
  );
}

/** As commander itself says it of an option. */
function wrongUsage(message: string): CommanderError {
  return new CommanderError(1, 'commander.error', message);
}
