import { MIGRATION_PARAMETERS, type MigrationMode, PAGE_BYTES } from '../../base/index.ts';
import type { Trace } from '../../guestmem/index.ts';
import { builtInPolicy, type Policy } from '../../source/index.ts';
import { type Codec, PageCosts } from './page-costs.ts';
import {
  DEFAULT_COSTS,
  METER_EXCESSES,
  type PlanCandidate,
  type PlanCosts,
  type PlanLink,
  type PlanParameters,
} from './plan-setup.ts';
import { recommend } from './recommendation.ts';
import { type SimulatedMigration, simulateMigration } from './simulate.ts';
import { TraceGuest } from './trace-guest.ts';

/** The middle of several simulations that began at different points of the trace. */
export interface Range {
  readonly low: number;
  readonly expected: number;
  readonly high: number;
}

export interface PlanRow {
  readonly mode: MigrationMode;
  readonly codec: Codec;
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
  readonly downtimeLimitMs: number;
  readonly guest: GuestFigures;
  readonly rows: readonly PlanRow[];
  readonly recommendation: Recommendation;
}

export interface Recommendation {
  readonly mode: MigrationMode;
  readonly codec: Codec;
  /** One sentence for each question of the flowchart that decided. */
  readonly because: readonly string[];
}

export interface PlanOptions {
  readonly trace: Trace;
  readonly link: PlanLink;
  readonly parameters: PlanParameters;
  readonly policy?: string;
  readonly costs?: PlanCosts;
}

const CANDIDATES: readonly PlanCandidate[] = [
  { mode: 'stop', codec: 'raw' },
  { mode: 'precopy', codec: 'raw' },
  { mode: 'precopy', codec: 'xbzrle' },
  { mode: 'hybrid', codec: 'raw' },
  { mode: 'postcopy', codec: 'raw' },
];

/** The defaults of the migration's own parameters. */
export function defaultPlanParameters(): PlanParameters {
  const of = (name: string) => MIGRATION_PARAMETERS[name]?.default as number;
  return {
    downtimeLimitMs: of('downtime-limit'),
    maxBandwidthBytesPerSecond: of('max-bandwidth'),
    maxPostcopyBandwidthBytesPerSecond: of('max-postcopy-bandwidth'),
    availSwitchoverBandwidthBytesPerSecond: of('avail-switchover-bandwidth'),
    xbzrleCacheBytes: of('xbzrle-cache-size'),
    timeoutMs: 0,
    timeoutAction: 'suspend',
    hybrid: { afterPasses: 1, plateau: true },
  };
}

/** Simulates every way to migrate the recorded guest, and says which one is best, and why. */
export function makePlan(options: PlanOptions): Plan {
  const { trace, link, parameters, costs = DEFAULT_COSTS } = options;
  const guest = new TraceGuest(trace);
  const pages = new PageCosts(trace);
  // A policy of the user's own runs in the agent only.
  const policy = builtInPolicy(options.policy ?? 'auto') ?? (builtInPolicy('auto') as Policy);
  const { ramBlocks } = trace.header;
  const intervalMs = guest.spanMs / Math.max(1, trace.intervals.length);
  const common = { guest, pages, ramBlocks, intervalMs, link, parameters, costs, policy };
  const rows = CANDIDATES.map((candidate) =>
    rowOf(
      candidate,
      METER_EXCESSES.map((meterExcess, index) => {
        const startMs = (guest.spanMs * index) / METER_EXCESSES.length;
        return simulateMigration({ ...common, candidate, meterExcess, startMs });
      }),
      parameters.downtimeLimitMs,
    ),
  );
  const figures = figuresOf(trace, guest, pages);
  const { downtimeLimitMs } = parameters;
  const recommendation = recommend({ rows, guest: figures, link, parameters });
  return { link, policy: policy.name, downtimeLimitMs, guest: figures, rows, recommendation };
}

function rowOf(
  { mode, codec }: PlanCandidate,
  runs: readonly SimulatedMigration[],
  downtimeLimitMs: number,
): PlanRow {
  const worst = runs.find(({ outcome }) => outcome !== 'completed')?.outcome ?? 'completed';
  const range = (of: (run: SimulatedMigration) => number) => rangeOf(runs.map(of));
  const downtimeMs = range((run) => run.downtimeMs);
  return {
    mode,
    codec,
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
