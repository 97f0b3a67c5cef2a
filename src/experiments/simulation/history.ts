import { AssertionError, type MigrationParameters } from '../../base/index.ts';
import type { FaultPlan, FrameBreak } from './fault-plan.ts';
import {
  type GuestPlan,
  type HistoryPlan,
  type LinkPlan,
  planHistory,
  type RecoveryPlan,
} from './history-plan.ts';
import { type AttemptResult, MigrationAttempt } from './migration-attempt.ts';
import type { OperatorKind } from './operator.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { type SimulationParts, World } from './world.ts';

/** A seed, and what shall differ from the plan that it gives. */
export interface HistoryOptions {
  readonly seed: number;
  readonly guest?: Partial<GuestPlan>;
  readonly link?: Partial<LinkPlan>;
  readonly parameters?: Partial<MigrationParameters>;
  readonly xbzrle?: boolean;
  readonly startPaused?: boolean;
  readonly recordMs?: number;
  readonly fault?: FaultPlan;
  readonly breaks?: readonly FrameBreak[];
  readonly recovery?: Partial<RecoveryPlan>;
  readonly preempt?: boolean;
  readonly postcopyAtMs?: number | undefined;
  readonly retry?: boolean;
  readonly hops?: number;
  readonly journal?: boolean;
  readonly operator?: OperatorKind;
  readonly multifdChannels?: number;
  /** Broken parts, for tests of the checkers. */
  readonly parts?: SimulationParts;
}

export interface HistoryResult {
  readonly seed: number;
  readonly plan: HistoryPlan;
  readonly attempts: readonly AttemptResult[];
  /** What must never be, with the simulated time. Empty: all is well. */
  readonly violations: readonly string[];
  /** The same for two runs exactly if everything that was seen was the same. */
  readonly digest: string;
  readonly eventCount: number;
  readonly simulatedMs: number;
  /** The last events. */
  readonly tail: readonly string[];
}

const NO_FAULT: FaultPlan = { kind: 'none' };

/**
 * Runs the history of a seed. A pure function of its options: the same ones give the same digest.
 */
export async function runHistory(options: HistoryOptions): Promise<HistoryResult> {
  const plan = planWith(options);
  const world = new World(plan, options.parts ?? {});
  const attempts: AttemptResult[] = [];
  const stop = await world.start();
  try {
    await new Journey(world, attempts).run();
  } catch (thrown) {
    // What the clock says of a run that hangs. Anything else is a defect of the simulation.
    if (!(thrown instanceof AssertionError)) throw thrown;
    world.log.violation(`it hangs: ${thrown.message}`);
  } finally {
    stop();
  }
  return {
    seed: plan.seed,
    plan,
    attempts,
    violations: world.log.violations,
    digest: world.log.digest(),
    eventCount: world.log.events,
    simulatedMs: world.clock.nowMs(),
    tail: world.log.tail,
  };
}

function planWith(options: HistoryOptions): HistoryPlan {
  const { parts: _, guest, link, parameters, recovery, ...rest } = options;
  const drawn = planHistory(options.seed);
  return {
    ...drawn,
    ...rest,
    guest: { ...drawn.guest, ...guest },
    link: { ...drawn.link, ...link },
    parameters: { ...drawn.parameters, ...parameters },
    recovery: { ...drawn.recovery, ...recovery },
  };
}

/** The guest's way over the hosts. */
class Journey {
  private readonly world: World;
  private readonly attempts: AttemptResult[];

  constructor(world: World, attempts: AttemptResult[]) {
    this.world = world;
    this.attempts = attempts;
  }

  async run(): Promise<void> {
    const { plan, hosts } = this.world;
    const [a, b, c] = hosts;
    let arrived = await this.migrate(a, b, plan.fault);
    if (!arrived && plan.retry && a.isRunning) arrived = await this.migrate(a, b, NO_FAULT);
    if (arrived && plan.hops >= 1) arrived = await this.migrate(b, c, NO_FAULT);
    if (!arrived || plan.hops < 2) return;
    // A guest that comes back meets the record of its own past, and nothing else of it.
    a.clear();
    await this.migrate(c, a, NO_FAULT);
  }

  /** True when the guest runs, or could run, at the destination. */
  private async migrate(
    source: SimulatedHost,
    destination: SimulatedHost,
    fault: FaultPlan,
  ): Promise<boolean> {
    const { world, attempts } = this;
    world.ownership.forget(destination);
    source.guest?.resume('operator');
    const attempt = new MigrationAttempt(world, source, destination, fault, attempts.length);
    const result = await attempt.run();
    attempts.push(result);
    return result.incoming.status === 'completed' && !source.isRunning;
  }
}
