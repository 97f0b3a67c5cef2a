import { defaultParameters, type MigrationMode, PAGE_BYTES } from '../../base/index.ts';
import type { Trace } from '../../guestmem/index.ts';
import type { PolicyModule } from '../../source/index.ts';
import { candidates } from './candidates.ts';
import { askedPolicy } from './model/asked-policy.ts';
import { meterExcess } from './model/meter-excess.ts';
import { PageCosts } from './model/page-costs.ts';
import { TraceGuest } from './model/trace-guest.ts';
import { planParametersOf } from './plan-parameters.ts';
import {
  type Codec,
  DEFAULT_COSTS,
  type PlanCandidate,
  type PlanCosts,
  type PlanLink,
  type PlanParameters,
  type Slowing,
} from './plan-setup.ts';
import { recommend } from './recommendation.ts';
import { type SimulatedMigration, simulateMigration } from './simulate.ts';

/** Of each row, from as many points of the trace. */
const SIMULATIONS = 5;

/** The middle of several simulations that began at different points of the trace. */
export interface Range {
  readonly low: number;
  readonly expected: number;
  readonly high: number;
}

export interface PlanRow {
  readonly mode: MigrationMode;
  readonly codec: Codec;
  /** By what the guest is slowed when it dirties too fast. */
  readonly slowing: Slowing;
  /** With deltas: the cache that it goes by. */
  readonly xbzrleCacheBytes: number | undefined;
  readonly outcome: SimulatedMigration['outcome'];
  readonly totalMs: Range;
  readonly downtimeMs: Range;
  readonly wireBytes: Range;
  /** Share of its speed that the guest loses while it migrates, 0 to 1. */
  readonly slowdown: Range;
  readonly passes: number;
  /** Keeps the downtime limit, and ends by itself. */
  readonly fits: boolean;
}

/** What is known of the guest, in the terms of the flowchart (docs/plan.md). */
export interface GuestFigures {
  readonly populatedBytes: number;
  readonly zeroShare: number;
  readonly dirtyBytesPerSecond: number;
  /** Pages that were dirtied at least once while it was recorded. */
  readonly hotBytes: number;
  readonly changedShare: number | undefined;
  readonly lz4Share: number;
}

export interface Plan {
  readonly link: PlanLink;
  readonly policy: string;
  /** Why a user's own policy was replaced by `auto`. */
  readonly policyFallback: string | undefined;
  readonly downtimeLimitMs: number;
  readonly guest: GuestFigures;
  readonly rows: readonly PlanRow[];
  readonly recommendation: Recommendation;
}

export interface Recommendation {
  readonly mode: MigrationMode;
  readonly codec: Codec;
  /** With deltas: the cache that they need; undefined: what is set will do. */
  readonly xbzrleCacheBytes: number | undefined;
  /** One sentence for each question of the flowchart that decided. */
  readonly because: readonly string[];
}

export interface PlanOptions {
  readonly trace: Trace;
  readonly link: PlanLink;
  readonly parameters: PlanParameters;
  /** A name, or the path of a user's own with `policyModule`. */
  readonly policy?: string;
  readonly policyModule?: PolicyModule;
  /** Rows with deltas must not propose another cache than the one that is set. */
  readonly isCacheFixed?: boolean;
  readonly costs?: PlanCosts;
}

/** The defaults of the migration's own parameters. */
export function defaultPlanParameters(): PlanParameters {
  return planParametersOf(defaultParameters());
}

/**
 * Simulates every way to migrate the recorded guest, and says which one is best, and why. A user's
 * policy is asked in its own thread, which stays the caller's to close.
 */
export async function makePlan(options: PlanOptions): Promise<Plan> {
  const { trace, link, parameters, costs = DEFAULT_COSTS } = options;
  const guest = new TraceGuest(trace);
  const pages = new PageCosts(trace);
  const policy = askedPolicy(options.policy ?? 'auto', options.policyModule);
  const { ramBlocks, vcpuCount } = trace.header;
  const intervalMs = guest.spanMs / Math.max(1, trace.intervals.length);
  const common = {
    ...{ guest, pages, ramBlocks, vcpuCount, intervalMs, link, parameters, costs, policy },
  };
  const figures = figuresOf(trace, guest, pages);
  const { downtimeLimitMs, xbzrleCacheBytes } = parameters;
  const isCacheFixed = options.isCacheFixed ?? false;
  const rows: PlanRow[] = [];
  for (const candidate of candidates({ xbzrleCacheBytes, isCacheFixed, ...figures })) {
    const runs: SimulatedMigration[] = [];
    for (let part = 0; part < SIMULATIONS; part += 1) {
      const startMs = (guest.spanMs * part) / SIMULATIONS;
      const excess = meterExcess(trace, part, SIMULATIONS);
      const run = await simulateMigration({ ...common, candidate, meterExcess: excess, startMs });
      runs.push(run);
      // From elsewhere in the trace it would be as long, and no better.
      if (run.outcome === 'endless') break;
    }
    rows.push(rowOf(candidate, runs, downtimeLimitMs));
  }
  const recommendation = recommend({ rows, guest: figures, link, parameters });
  const { name, fallbackReason: policyFallback } = policy.info();
  return {
    link,
    policy: name,
    policyFallback,
    downtimeLimitMs,
    guest: figures,
    rows,
    recommendation,
  };
}

function rowOf(
  { mode, codec, slowing = 'none', xbzrleCacheBytes }: PlanCandidate,
  runs: readonly SimulatedMigration[],
  downtimeLimitMs: number,
): PlanRow {
  const worst = runs.find(({ outcome }) => outcome !== 'completed')?.outcome ?? 'completed';
  const range = (of: (run: SimulatedMigration) => number) => rangeOf(runs.map(of));
  const downtimeMs = byFactors(
    range((run) => run.downtimeMs),
    runs,
  );
  return {
    mode,
    codec,
    slowing,
    xbzrleCacheBytes,
    outcome: worst,
    totalMs: range((run) => run.totalMs),
    downtimeMs,
    wireBytes: range((run) => run.wireBytes),
    slowdown: range((run) => run.slowdown),
    passes: rangeOf(runs.map((run) => run.passes.length)).expected,
    fits: worst === 'completed' && downtimeMs.expected <= downtimeLimitMs,
  };
}

function rangeOf(values: readonly number[]): Range {
  const sorted = [...values].sort((first, second) => first - second);
  const at = (index: number) => sorted[index] ?? 0;
  return {
    low: at(0),
    expected: at(Math.floor(sorted.length / 2)),
    high: at(sorted.length - 1),
  };
}

/**
 * A downtime is off by a factor. Near its limit it is chance whether a round stops or goes on, and
 * then there are two, of which the middle of the factors is the best guess.
 */
function byFactors(range: Range, runs: readonly SimulatedMigration[]): Range {
  if (range.low <= 0) return range;
  const logs = runs.reduce((sum, { downtimeMs }) => sum + Math.log(downtimeMs), 0);
  // Of equal ones the mean may be off by a rounding.
  const expected = Math.min(range.high, Math.max(range.low, Math.exp(logs / runs.length)));
  return { ...range, expected };
}

function figuresOf(trace: Trace, guest: TraceGuest, pages: PageCosts): GuestFigures {
  const dirtied = trace.intervals.reduce((sum, interval) => sum + interval.pages.length, 0);
  const hot = new Set<number>();
  for (const interval of trace.intervals) for (const pfn of interval.pages) hot.add(pfn);
  return {
    populatedBytes: guest.populated.count * PAGE_BYTES,
    zeroShare: pages.zeroPagesShare,
    dirtyBytesPerSecond: guest.spanMs > 0 ? (dirtied * PAGE_BYTES * 1000) / guest.spanMs : 0,
    hotBytes: hot.size * PAGE_BYTES,
    changedShare: pages.changedShare,
    lz4Share: pages.lz4Share,
  };
}
