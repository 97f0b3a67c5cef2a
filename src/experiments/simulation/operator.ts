import { silentLogger } from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import { migrationIdOf } from '../../protocol/index.ts';
import { claimGuest, type OutgoingMigration } from '../../source/index.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { World } from './world.ts';

/** He looks at a migration so often. */
const LOOK_MS = 50;
/** Without an answer for so long, he looks at the destination, and finds its disk. */
const MEND_MS = 20_000;

/**
 * What he does when a source in post-copy has had no link for a while: `resumes` tells it to go
 * on; `takes-back` does that too, but where the destination has lost its guest he has it run at the
 * source; `takes-back-wrongly` does so whether the guest is lost or not.
 */
export const OPERATORS = ['resumes', 'takes-back', 'takes-back-wrongly'] as const;
export type OperatorKind = (typeof OPERATORS)[number];

export interface OperatorOptions {
  readonly world: World;
  readonly source: SimulatedHost;
  readonly destination: SimulatedHost;
  readonly outgoing: OutgoingMigration;
  readonly secret: string;
  readonly connect: () => Promise<Channel>;
  readonly note: (text: string) => void;
}

/** Whoever looks after one migration, from its beginning on. He acts at the source. */
export class Operator {
  private readonly options: OperatorOptions;
  private readonly stopLooking: () => void;
  private taken: Promise<number> | undefined;
  private sinceMs: number | undefined;
  private isClaiming = false;
  private doubtSinceMs: number | undefined;

  constructor(options: OperatorOptions) {
    this.options = options;
    this.stopLooking = options.world.clock.every(LOOK_MS, () => this.look());
  }

  end(): void {
    this.stopLooking();
  }

  /**
   * Once the migration is over: tells the destination that the guest was taken back, if it was,
   * until it has answered. Resolves when it has, or the source is killed.
   */
  async claim(): Promise<void> {
    const { world, source, connect, secret } = this.options;
    const { process } = source;
    const epoch = await this.taken?.catch(() => undefined);
    if (epoch === undefined || !process.isAlive) return;
    this.isClaiming = true;
    const end = new AbortController();
    process.onKill(() => end.abort());
    const names = { uuid: world.uuid, secret, migrationId: migrationIdOf(secret) };
    const told = claimGuest(
      { ...names, epoch: epoch - 1, claimedEpoch: epoch },
      {
        connect,
        clock: process.clock,
        log: silentLogger(),
        limitMs: world.plan.parameters.stallTimeoutMs,
        signal: end.signal,
      },
    );
    await process.outcomeOf(told);
  }

  private look(): void {
    const { source, world, connect, note, outgoing } = this.options;
    const { clock, plan } = world;
    if (!source.process.isAlive) return;
    const { status, owner } = outgoing.info();
    this.mendDisk(this.isClaiming || (status.startsWith('postcopy-') && owner === 'unknown'));
    if (status !== 'postcopy-paused') {
      this.sinceMs = undefined;
      return;
    }
    this.sinceMs ??= clock.nowMs();
    if (clock.nowMs() - this.sinceMs < plan.recovery.resumeMs) return;
    this.sinceMs = undefined;
    if (this.wantsItBack) return this.takeBack();
    note('resume');
    // Where there was no way, he knows one.
    if (plan.recovery.connects) outgoing.resume();
    else outgoing.resume(connect);
  }

  /** A destination that cannot record what it answers says nothing; the source asks for ever. */
  private mendDisk(isInDoubt: boolean): void {
    const { world, destination } = this.options;
    const nowMs = world.clock.nowMs();
    this.doubtSinceMs = isInDoubt ? (this.doubtSinceMs ?? nowMs) : undefined;
    if (this.doubtSinceMs !== undefined && nowMs - this.doubtSinceMs >= MEND_MS)
      destination.ledger.breakWith(undefined);
  }

  /** A destination that cannot be told must not be overruled. */
  private get wantsItBack(): boolean {
    const { world, destination } = this.options;
    const { operator, recovery } = world.plan;
    if (operator === 'resumes') return false;
    const isLost = destination.guest === undefined;
    return isLost || (operator === 'takes-back-wrongly' && recovery.connects);
  }

  private takeBack(): void {
    const { world, source, destination, outgoing } = this.options;
    world.log.add({ kind: 'taken-back', host: source, from: destination });
    this.taken = outgoing.takeBack();
    // The outcome of the migration tells of it as well.
    this.taken.catch(() => {});
  }
}
