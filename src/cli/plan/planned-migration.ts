import { CommanderError } from 'commander';
import type { MigrationMode } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import type {
  Plan,
  PlanParameters,
  PlanScore,
  Recommendation,
} from '../../experiments/plan/index.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { CompressionMethod, CompressionOptions } from '../options/compression-options.ts';
import type { PostcopyOptions } from '../options/postcopy-options.ts';
import { timeoutActionOf } from '../options/postcopy-options.ts';
import { actualMigration } from './actual-migration.ts';
import { planGuest } from './guest-plan.ts';

/** As long as `sterna plan` looks at a guest. */
const SECONDS = 3;
const MIB = 2 ** 20;

/** The options of `sterna migrate` that a plan goes by, or decides. */
export interface PlannableOptions extends PostcopyOptions, CompressionOptions {
  readonly downtime?: number;
  readonly bandwidth?: number;
  readonly timeout?: number;
  readonly policy?: string;
}

export interface PlannedMigration<Options> {
  readonly plan: Plan;
  /** With what is recommended where the user has said nothing. */
  readonly options: Options;
}

/**
 * Measures the link, looks at the guest, and completes the options of the user by what is best.
 * `isModeGiven`: the mode is the user's own word.
 */
export async function planMigration<Options extends PlannableOptions>(
  qmp: QmpClient,
  uri: string,
  options: Options,
  isModeGiven: boolean,
): Promise<PlannedMigration<Options>> {
  if (!uri.startsWith('tcp:')) {
    const text = "option '--plan' measures a link: the destination must be tcp:HOST:PORT";
    throw new CommanderError(EXIT_CODES.USAGE, 'commander.invalidArgument', text);
  }
  const plan = await planGuest(qmp, {
    link: { to: uri },
    seconds: SECONDS,
    policy: options.policy,
    parameters: parametersOf(options),
    isCacheFixed: options.compXbzrleCache !== undefined,
  });
  return { plan, options: completed(options, plan.recommendation, isModeGiven) };
}

/** Undefined when the migration was none of those that were planned, or cannot be asked for. */
export async function scoreMigration(qmp: QmpClient, plan: Plan): Promise<PlanScore | undefined> {
  const { scorePlan } = await import('../../experiments/plan/index.ts');
  // It has completed, and that is to be told whatever becomes of the comparison.
  const actual = await actualMigration(qmp).catch(() => undefined);
  return actual && scorePlan(plan, actual);
}

/** Whether the mode follows from another option than `--mode`. */
export function namesMode(options: PostcopyOptions): boolean {
  const { postcopy, postcopyAfterPrecopy, postcopyAfterPasses, postcopyPreempt } = options;
  const isPostcopy = postcopy || postcopyAfterPrecopy || postcopyPreempt;
  // RAM cannot be compared before GRANT in post-copy.
  return (isPostcopy ?? false) || postcopyAfterPasses !== undefined || options.verify === 'strict';
}

/** What is said for this migration, and not yet set. */
function parametersOf(options: PlannableOptions): Partial<PlanParameters> {
  const { downtime, bandwidth, postcopyBandwidth, compXbzrleCache, timeout } = options;
  return {
    ...(downtime === undefined ? {} : { downtimeLimitMs: downtime }),
    ...(bandwidth === undefined ? {} : { maxBandwidthBytesPerSecond: bandwidth * MIB }),
    ...(postcopyBandwidth === undefined
      ? {}
      : { maxPostcopyBandwidthBytesPerSecond: postcopyBandwidth * MIB }),
    ...(compXbzrleCache === undefined ? {} : { xbzrleCacheBytes: compXbzrleCache }),
    ...(timeout === undefined
      ? {}
      : { timeoutMs: timeout * 1000, timeoutAction: timeoutActionOf(options) }),
  };
}

function completed<Options extends PlannableOptions>(
  options: Options,
  recommendation: Recommendation,
  isModeGiven: boolean,
): Options {
  const mode: MigrationMode = isModeGiven ? options.mode : recommendation.mode;
  // Of another mode nothing was recommended.
  if (mode !== recommendation.mode) return options;
  const { codec, xbzrleCacheBytes } = recommendation;
  const recommended: readonly CompressionMethod[] = codec.startsWith('xbzrle') ? ['xbzrle'] : [];
  const compMethods = options.compMethods ?? recommended;
  const cache = compMethods.includes('xbzrle') ? xbzrleCacheBytes : undefined;
  const compXbzrleCache = options.compXbzrleCache ?? cache;
  return {
    ...options,
    mode,
    compMethods,
    codec: options.codec ?? (codec.endsWith('lz4') ? 'auto' : 'none'),
    ...(compXbzrleCache === undefined ? {} : { compXbzrleCache }),
  };
}
