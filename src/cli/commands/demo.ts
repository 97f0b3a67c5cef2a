import { Option } from 'commander';
import { deferred, formatBytes, type MigrationMode, SternaError } from '../../base/index.ts';
import { AgentPair } from '../../experiments/index.ts';
import {
  parseCacheSize,
  parseInteger,
  parseNumber,
  parseRam,
  parseSeed,
  parseVcpuCount,
} from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { checkGuest, describeCheck, type GuestCheck } from '../guest-check.ts';
import type { FollowedMigration } from '../migration/follow-migration.ts';
import type { MigrationRequest } from '../migration/migration-request.ts';
import { readMigration } from '../migration/migration-view.ts';
import { runMigration } from '../migration/run-migration.ts';
import {
  type CompressionOptions,
  compMethodsOption,
  compressionRequest,
} from '../options/compression-options.ts';
import { MODES } from '../options/postcopy-options.ts';
import type { AddCommand } from './command.ts';
import { printOutcome } from './migrate.ts';

interface DemoOptions extends CompressionOptions {
  readonly ram: number;
  readonly workload?: string;
  readonly vcpus: number;
  readonly seed: number;
  readonly bandwidth?: number;
  readonly downtime: number;
  readonly mode: MigrationMode;
  readonly json?: true;
}

/** Long enough for the guest to fill its memory and write a good part of it again. */
const WARM_UP_MS = 1_500;

/** Short, so that more than one pass is to be seen. */
const DOWNTIME_MS = 20;

export const addDemo: AddCommand = (program, context, run) => {
  program
    .command('demo')
    .summary('show a migration: starts a source and a destination, and moves the guest')
    .option('--ram <size>', 'of the guest', parseRam, 256 * 2 ** 20)
    .option(
      '--workload <spec>',
      'what the guest does (default: memwrite over three quarters of its RAM)',
    )
    .option('--vcpus <count>', '1 to 16', parseVcpuCount, 1)
    .option('--seed <number>', 'of the workload', parseSeed, 1)
    .option('--bandwidth <MiB/s>', 'limit before the switch, 0 for none', parseNumber(0, 2 ** 30))
    .option('--downtime <ms>', 'longest acceptable pause', parseInteger(0, 2_000_000), DOWNTIME_MS)
    .addOption(new Option('--mode <mode>', 'how the RAM moves').choices(MODES).default('precopy'))
    .addOption(compMethodsOption().default(['xbzrle'], 'xbzrle'))
    .option('--comp-xbzrle-cache <size>', 'cache of the delta compression', parseCacheSize)
    .option('--json', 'JSON lines on standard output: progress, then one result')
    .action((options: DemoOptions) => run(() => demo(context, options)));
};

async function demo(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const interrupt = watchInterrupts(context);
  const workload = options.workload ?? defaultWorkload(options.ram);
  const { vcpus, seed } = options;
  const starting = AgentPair.start({ ram: String(options.ram), workload, vcpus, seed });
  try {
    say(context, options, `Guest: ${formatBytes(options.ram)}, ${vcpus} vCPU, ${workload}`);
    const pair = await Promise.race([starting, interrupt.interrupted]);
    say(
      context,
      options,
      `Source: process ${pair.source.pid}. Destination: process ${pair.destination.pid} at ${pair.uri}`,
    );
    say(context, options, 'The guest runs at the source and writes its memory.');
    await Promise.race([context.clock.sleep(WARM_UP_MS), interrupt.interrupted]);
    interrupt.stop();
    const shown = { json: options.json === true, verbose: true };
    const ended = await runMigration(context, pair.sourceQmp, requestOf(pair.uri, options), shown);
    return await conclude(context, options, pair, ended);
  } finally {
    interrupt.stop();
    // Also when it was interrupted while starting: nobody else would end them.
    await starting.then(
      (pair) => pair.close(),
      () => {},
    );
  }
}

/**
 * 192 MiB of noise and a hot set of 16 MiB for the default 256 MiB, and the same shares of any
 * other size.
 */
function defaultWorkload(ramBytes: number): string {
  const mebibytes = Math.floor(ramBytes / 2 ** 20);
  const fill = Math.floor((mebibytes * 3) / 4);
  const hot = Math.max(1, Math.floor(mebibytes / 16));
  return `memwrite,fill=${fill}M,hot=${hot}M,rate=5000,words=8,step=512`;
}

function requestOf(uri: string, options: DemoOptions): MigrationRequest {
  return {
    uri,
    mode: options.mode,
    bandwidthMebibytes: options.bandwidth,
    downtimeMs: options.downtime,
    timeoutAction: 'suspend',
    ...compressionRequest(options),
    verify: 'after',
  };
}

/** The report, and the guest's own opinion of its memory. */
async function conclude(
  context: CliContext,
  options: DemoOptions,
  pair: AgentPair,
  ended: FollowedMigration,
): Promise<ExitCode> {
  const moved = ended.view.status === 'completed' && ended.view.owner === 'destination';
  const check: GuestCheck | undefined = moved ? await checkGuest(pair.destinationQmp) : undefined;
  const extra = check === undefined ? {} : { 'guest-check': check };
  const told = moved ? await withGuestWaits(ended, pair) : ended;
  const exitCode = printOutcome(context, told, options.json === true, extra);
  if (check === undefined || exitCode !== EXIT_CODES.OK) return exitCode;
  say(context, options, describeCheck(check));
  if (!check.ok) {
    throw new SternaError('E_VERIFY_MISMATCH', 'The guest found its own memory damaged', {
      guestOwner: 'destination',
      detail: { problems: check.problems },
    });
  }
  return ended.view.verify.status === 'identical' ? EXIT_CODES.OK : EXIT_CODES.RAM_MISMATCH;
}

/** What the guest waited for after the switch is known in detail where it ran. */
async function withGuestWaits(
  ended: FollowedMigration,
  pair: AgentPair,
): Promise<FollowedMigration> {
  const there = readMigration(await pair.destinationQmp.execute('query-migrate'));
  return { ...ended, view: { ...ended.view, postcopy: there.postcopy } };
}

function say(context: CliContext, options: DemoOptions, text: string): void {
  if (!options.json) context.stdout.write(`${text}\n`);
}

interface InterruptWatch {
  /** Rejects with E_CANCELLED. */
  readonly interrupted: Promise<never>;
  stop(): void;
}

/** Until the migration begins, which handles interrupts itself. */
function watchInterrupts(context: CliContext): InterruptWatch {
  const interrupted = deferred<never>();
  const stop = context.onInterrupt(() => {
    const message = 'Interrupted before the migration began';
    interrupted.reject(new SternaError('E_CANCELLED', message, { guestOwner: 'source' }));
  });
  return { interrupted: interrupted.promise, stop };
}
