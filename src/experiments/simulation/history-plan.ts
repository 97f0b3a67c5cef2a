import {
  defaultParameters,
  type MigrationMode,
  type MigrationParameters,
  PAGE_BYTES,
  RAM_BYTES_MIN,
  type TimeoutAction,
} from '../../base/index.ts';
import { Dice } from './dice.ts';
import { type FaultPlan, type FrameBreak, planBreaks, planFault } from './fault-plan.ts';
import { OPERATORS, type OperatorKind } from './operator.ts';

/**
 * Everything that one simulated history does, drawn from its seed. Plain data, so that a failure
 * can print it.
 */
export interface HistoryPlan {
  readonly seed: number;
  readonly guest: GuestPlan;
  readonly link: LinkPlan;
  readonly parameters: MigrationParameters;
  readonly xbzrle: boolean;
  /** The destination loads the guest and does not start it. */
  readonly startPaused: boolean;
  /** What writing an ownership record takes. */
  readonly recordMs: number;
  readonly fault: FaultPlan;
  /** What happens to later frames, each counted from the one before: a link that breaks again. */
  readonly breaks: readonly FrameBreak[];
  readonly recovery: RecoveryPlan;
  /** A connection of their own for pages that vCPUs wait for. */
  readonly preempt: boolean;
  /** The user asks for post-copy so long after the migration began; undefined: never. */
  readonly postcopyAtMs: number | undefined;
  /**
   * A second attempt on a fresh link, without a fault, when the first left the guest at the source.
   */
  readonly retry: boolean;
  /**
   * Onward migrations after the first, without a fault. The third host's guest goes back to the
   * first.
   */
  readonly hops: number;
  /** In post-copy the destination sends back what its guest changes. */
  readonly journal: boolean;
  readonly operator: OperatorKind;
  /** Connections for pages before the switch; 0: the one of the migration. */
  readonly multifdChannels: number;
}

/** How a lost link comes back. */
export interface RecoveryPlan {
  /** There is a way to further connections. */
  readonly connects: boolean;
  /** What making one takes. */
  readonly connectMs: number;
  /** The operator acts so long after a migration began to wait for him. */
  readonly resumeMs: number;
}

export interface GuestPlan {
  readonly blockPages: readonly number[];
  readonly vcpuCount: number;
  /** Pages that hold something when the migration begins. */
  readonly touchedPages: number;
  /** Those of them that are written all the time. */
  readonly hotPages: number;
  readonly pattern: WritePattern;
  readonly stepMs: number;
  readonly writesPerStep: number;
  /** One write of so many goes anywhere in RAM. */
  readonly strayEvery: number;
  /** How long a vCPU takes to its next safepoint. */
  readonly safepointMs: number;
}

export type WritePattern = 'uniform' | 'ascending' | 'skewed';

export interface LinkPlan {
  readonly latencyMs: number;
  /** 0: no limit. */
  readonly bandwidthBytesPerSecond: number;
  readonly bufferBytes: number;
  /** Longest piece in which bytes arrive; 0: frames arrive whole. */
  readonly pieceBytesMax: number;
}

const RAM_PAGES = RAM_BYTES_MIN / PAGE_BYTES;
/** One frame before anything was measured: what a slow link is silent for. */
const FRAME_BYTES_MAX = 2 ** 20;

/** The plan of a seed. */
export function planHistory(seed: number): HistoryPlan {
  const dice = new Dice(seed);
  const guest = planGuest(dice);
  const link = planLink(dice, guest);
  return {
    seed,
    guest,
    link,
    parameters: planParameters(dice, guest, link),
    xbzrle: dice.chance(0.6),
    startPaused: dice.chance(0.15),
    recordMs: dice.pick([0, 0.1, 2, 20]),
    fault: planFault(dice),
    breaks: planBreaks(dice),
    recovery: {
      connects: dice.chance(0.85),
      connectMs: dice.pick([0.1, 3, 60]),
      resumeMs: dice.pick([200, 3000]),
    },
    preempt: dice.chance(0.4),
    postcopyAtMs: dice.chance(0.4) ? dice.scaled(1, 200) : undefined,
    retry: dice.chance(0.8),
    hops: dice.pick([0, 0, 0, 1, 2]),
    // Behind all others: what a seed was before there were these, it still is.
    journal: dice.chance(0.5),
    operator: dice.pick(OPERATORS),
    multifdChannels: dice.pick([0, 0, 1, 2, 5]),
  };
}

function planGuest(dice: Dice): GuestPlan {
  const touchedPages = dice.scaled(64, 1024);
  return {
    blockPages: planBlocks(dice),
    vcpuCount: dice.between(1, 4),
    touchedPages,
    hotPages: dice.between(1, touchedPages),
    pattern: dice.pick(['uniform', 'ascending', 'skewed']),
    stepMs: dice.pick([1, 2, 5]),
    writesPerStep: dice.pick([0, 1, 2, 4]),
    strayEvery: dice.pick([7, 100, 100_000]),
    safepointMs: dice.pick([0, 0.05, 0.4]),
  };
}

/**
 * The smallest RAM that HELLO admits, in one to three blocks of uneven sizes, the large one
 * anywhere.
 */
function planBlocks(dice: Dice): number[] {
  const small = Array.from({ length: dice.between(0, 2) }, () => dice.between(64, 1024));
  const rest = RAM_PAGES - small.reduce((sum, pages) => sum + pages, 0);
  const blocks = [...small];
  blocks.splice(dice.between(0, small.length), 0, rest);
  return blocks;
}

function planLink(dice: Dice, { touchedPages }: GuestPlan): LinkPlan {
  const pieceBytesMax = dice.pick([0, 0, 100, 1460, 65_536]);
  return {
    latencyMs: dice.pick([0, 0.05, 0.5, 5, 40]),
    bandwidthBytesPerSecond: dice.pick([0, 2e6, 10e6, 100e6, 1e9]),
    bufferBytes: dice.pick([16 * 2 ** 10, 256 * 2 ** 10]),
    // Each piece is an event: a few thousand show what there is to see.
    pieceBytesMax:
      pieceBytesMax && Math.max(pieceBytesMax, Math.ceil((touchedPages * PAGE_BYTES) / 1000)),
  };
}

function planParameters(dice: Dice, guest: GuestPlan, link: LinkPlan): MigrationParameters {
  const easy = guest.writesPerStep <= 1 && link.bandwidthBytesPerSecond !== 2e6;
  const maxBandwidthBytesPerSecond = dice.pick([0, 0, 4e6, 32e6]);
  const downtimeLimitMs = dice.pick([5, 40, 300]);
  // Without a timeout a migration that cannot converge would never end, as it should.
  const endless = easy && maxBandwidthBytesPerSecond === 0 && downtimeLimitMs === 300;
  const timeoutMs = dice.pick([50, 300, 1500]);
  const mode = dice.pick<MigrationMode>([
    'precopy',
    'precopy',
    'stop',
    'postcopy',
    'postcopy',
    'hybrid',
    'hybrid',
  ]);
  const isPostcopy = mode === 'postcopy' || mode === 'hybrid';
  const silentMs =
    link.bandwidthBytesPerSecond === 0
      ? 0
      : (FRAME_BYTES_MAX * 1000) / link.bandwidthBytesPerSecond;
  return {
    ...defaultParameters(),
    mode,
    maxBandwidthBytesPerSecond,
    downtimeLimitMs,
    timeoutMs: endless && dice.chance(0.7) ? 0 : timeoutMs,
    timeoutAction: planTimeoutAction(dice, mode),
    xbzrleCacheBytes: 2 ** dice.between(12, 23),
    verify: isPostcopy ? dice.pick(['off', 'after']) : dice.pick(['off', 'after', 'strict']),
    postcopyJournalIntervalMs: 20,
    maxPostcopyBandwidthBytesPerSecond: dice.pick([0, 0, 8e6]),
    postcopyAfterPasses: dice.pick([0, 1, 2]),
    postcopyPlateau: dice.pick(['on', 'off']),
    postcopyOrder: dice.pick(['bubbling', 'sequential']),
    autoRecover: dice.chance(0.8) ? 'on' : 'off',
    stallTimeoutMs: Math.ceil(dice.pick([800, 3000, 10_000]) + 3 * silentMs + 10 * link.latencyMs),
  };
}

function planTimeoutAction(dice: Dice, mode: MigrationMode): TimeoutAction {
  if (mode === 'hybrid' && dice.chance(0.5)) return 'postcopy';
  return dice.chance(0.8) ? 'suspend' : 'cancel';
}
