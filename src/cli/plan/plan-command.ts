import { readFile, writeFile } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { SternaError } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import type { ActualMigration, Plan, PlanLink } from '../../experiments/plan/index.ts';
import {
  parseInteger,
  parseNumber,
  parsePath,
  parsePortUri,
  parseQmpAddress,
} from '../arguments.ts';
import type { AddCommand } from '../commands/command.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { readMigration } from '../migration/migration-view.ts';
import { withAgent } from '../options/qmp-option.ts';
import { planReport, scoreReport } from '../report/plan-report.ts';
import { type LinkOptions, linkOf, mustProbe, probeLink } from './plan-link.ts';
import { type RecordedGuest, recordGuest } from './recorded-guest.ts';

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
    .option('--policy <name>', 'that would decide: auto, clark, qemu or svard')
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
  // Only this command needs the engines; the others start faster without them.
  const { decodeTrace, defaultPlanParameters, makePlan } = await import(
    '../../experiments/plan/index.ts'
  );
  const { found, link } = await lookAround(options);
  const { policy, ...parameters } = { ...found.parameters };
  const made = makePlan({
    trace: decodeTrace(found.bytes),
    link,
    parameters: {
      ...defaultPlanParameters(),
      ...parameters,
      ...(options.downtime === undefined ? {} : { downtimeLimitMs: options.downtime }),
    },
    policy: options.policy ?? policy ?? 'auto',
  });
  if (options.save !== undefined) await writeFile(options.save, `${JSON.stringify(made)}\n`);
  context.stdout.write(`${options.json ? JSON.stringify(made) : planReport(made)}\n`);
  return EXIT_CODES.OK;
}

/** One after the other: the probe would be seen in the trace. */
async function lookAround(
  options: PlanCommandOptions,
): Promise<{ readonly found: RecordedGuest; readonly link: PlanLink }> {
  const { trace: path, to = '', seconds } = options;
  const read = path === undefined ? undefined : await readTrace(path);
  const look = async (qmp?: QmpClient) => {
    const measured = qmp && mustProbe(options) ? await probeLink(qmp, to) : undefined;
    // Either the user has said it, or it has just been measured.
    const link = linkOf(options, measured) as PlanLink;
    if (read !== undefined) return { found: { bytes: read, parameters: {} }, link };
    return { found: await recordGuest(qmp as QmpClient, seconds), link };
  };
  if (read !== undefined && !mustProbe(options)) return look();
  return withAgent(agentOf(options), look);
}

async function score(
  context: CliContext,
  path: string,
  options: PlanCommandOptions,
): Promise<ExitCode> {
  const { scorePlan } = await import('../../experiments/plan/index.ts');
  const saved = parsePlan(await readTrace(path), path);
  const reply = await withAgent(agentOf(options), (qmp) => qmp.execute('query-migrate'));
  const view = readMigration(reply);
  if (view.status !== 'completed' || view.downtimeMs === undefined) {
    throw new SternaError('E_STATE', 'No migration of this agent has completed', {
      detail: { status: view.status },
    });
  }
  const actual: ActualMigration = {
    mode: view.mode,
    codec: view.xbzrle === undefined ? 'raw' : 'xbzrle',
    totalMs: view.totalTimeMs,
    downtimeMs: view.downtimeMs,
    wireBytes: view.ram.transferredBytes,
  };
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

async function readTrace(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new SternaError('E_FILE', 'File could not be read', { detail: { path }, cause });
  }
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
