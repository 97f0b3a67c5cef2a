import type { OwnershipLedger } from '../../base/index.ts';
import { SimClock } from '../../base/index.ts';
import type { IncomingOptions } from '../../destination/index.ts';
import { SimMachine } from '../../guest/index.ts';
import type { Machine, MachineFactory } from '../../guestmem/index.ts';
import { BufferCheck } from './checks/buffer-check.ts';
import { OwedPagesCheck } from './checks/owed-pages-check.ts';
import { OwnershipCheck } from './checks/ownership-check.ts';
import { PointCheck } from './checks/point-check.ts';
import { RamCheck } from './checks/ram-check.ts';
import { WaitCheck } from './checks/wait-check.ts';
import { Dice } from './dice.ts';
import { EventLog } from './event-log.ts';
import type { HistoryPlan } from './history-plan.ts';
import { SimulatedHost } from './simulated-host.ts';

/** Replaces parts of a simulation by broken ones, to prove that the checkers see it. */
export interface SimulationParts {
  /** What an engine gets for the machine that its host has. */
  readonly machine?: (machine: Machine, host: SimulatedHost) => Machine;
  readonly ledger?: (ledger: OwnershipLedger, host: SimulatedHost) => OwnershipLedger;
  readonly factory?: (factory: MachineFactory, host: SimulatedHost) => MachineFactory;
  readonly incoming?: (options: IncomingOptions, host: SimulatedHost) => IncomingOptions;
  /** After each store of a guest. */
  readonly written?: (machine: SimMachine, pfn: number) => void;
}

const HOST_NAMES = ['a', 'b', 'c'] as const;
const UUID = '00000000-0000-4000-8000-000000000001';
/** The guest has run for this long when the first migration begins. */
const WARM_UP_MS = 10;
/**
 * An attempt that takes longer waits for a limit. The guest then steps less often: it is not looked
 * at.
 */
const BUSY_MS = 2500;
const IDLE_STEPS = 10;
/** In one history of so many, RAM that should be untouched is read as well. */
const FULL_LOOK_EVERY = 8;

/**
 * Three hosts, one clock, one guest that runs on one of them. Everything is drawn from the plan's
 * seed.
 */
export class World {
  readonly plan: HistoryPlan;
  readonly parts: SimulationParts;
  readonly uuid = UUID;
  readonly clock = new SimClock();
  readonly log = new EventLog(this.clock);
  readonly hosts: readonly [SimulatedHost, SimulatedHost, SimulatedHost];
  readonly buffers: BufferCheck;
  readonly ownership: OwnershipCheck;
  readonly ram: RamCheck;
  private readonly dice: Dice;
  private readonly hotPages: readonly number[];
  private readonly touchedPages: readonly number[];
  private attemptMs = 0;

  constructor(plan: HistoryPlan, parts: SimulationParts) {
    this.plan = plan;
    this.parts = parts;
    this.dice = new Dice(plan.seed, 1);
    const [a, b, c] = HOST_NAMES.map((name) => new SimulatedHost(name, this));
    // As many as there are names.
    this.hosts = [a, b, c] as [SimulatedHost, SimulatedHost, SimulatedHost];
    this.buffers = new BufferCheck(this.log);
    this.ram = new RamCheck(this.log, { readsAll: plan.seed % FULL_LOOK_EVERY === 0 });
    this.ownership = new OwnershipCheck(this.log, this.hosts);
    this.log.watchWith(this.ownership, this.ram, this.buffers, new OwedPagesCheck(this.log));
    this.log.watchWith(new PointCheck(this.log, this.ram));
    this.log.watchWith(new WaitCheck(this.log, this.clock, plan));
    this.touchedPages = touchedPages(plan, this.dice);
    this.hotPages = this.touchedPages.slice(0, plan.guest.hotPages);
  }

  /**
   * The guest runs on the first host, which has recorded that it owns it. Returns what ends the
   * stepping.
   */
  async start(): Promise<() => void> {
    const [first] = this.hosts;
    await this.clock.runUntil(
      first.ledger.write({
        uuid: this.uuid,
        epoch: 1,
        state: 'owner',
        migrationId: undefined,
        peer: undefined,
      }),
    );
    const guest = first.give(this.newMachine());
    for (const pfn of this.touchedPages) guest.store(pfn);
    const stop = new AbortController();
    void this.stepUntil(stop.signal);
    await this.clock.advance(WARM_UP_MS);
    return () => stop.abort();
  }

  /** The guest as it is when it is built, with zeroed RAM. */
  newMachine(): SimMachine {
    const { guest, seed } = this.plan;
    const { blockPages, vcpuCount } = guest;
    return SimMachine.create({ clock: this.clock, blockPages, vcpuCount, seed, uuid: this.uuid });
  }

  /** The guest steps often from now on. */
  attemptBegins(): void {
    this.attemptMs = this.clock.nowMs();
  }

  private async stepUntil(signal: AbortSignal): Promise<void> {
    const { stepMs } = this.plan.guest;
    while (!signal.aborted) {
      const isBusy = this.clock.nowMs() - this.attemptMs < BUSY_MS;
      await this.clock.sleep(isBusy ? stepMs : stepMs * IDLE_STEPS, signal);
      if (!signal.aborted) this.step();
    }
  }

  private step(): void {
    for (const host of this.hosts) {
      if (!host.isRunning) continue;
      host.guest?.step(this.dice.random, this.hotPages);
      this.log.add({ kind: 'stepped', host });
    }
  }
}

/** The corners of each block, where mistakes live, and pages anywhere. */
function touchedPages({ guest }: HistoryPlan, dice: Dice): number[] {
  const { blockPages } = guest;
  const total = blockPages.reduce((sum, pages) => sum + pages, 0);
  let first = 0;
  const pages: number[] = [];
  for (const count of blockPages) {
    pages.push(first, first + count - 1);
    first += count;
  }
  while (pages.length < guest.touchedPages) pages.push(dice.between(0, total - 1));
  return pages;
}
