import { type Clock, Random, SternaError } from '../../base/index.ts';
import type { Machine } from '../../guestmem/index.ts';
import { type DirtyRate, type DirtyRateRequest, measureDirtyRate } from './dirty-rate.ts';

export type ObservationRequest = DirtyRateRequest;
export type Observation = DirtyRate;

/**
 * The migration worker's half: looks at the guest while it runs here, one observation at a time.
 * It flips the dirty logs as a migration does, so the two never overlap: who begins a migration
 * ends the observation first.
 */
export class Observer {
  private readonly clock: Clock;
  private active: { readonly ending: AbortController; readonly over: Promise<unknown> } | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Resolves at its end. Rejects with E_STATE when there is one already, or E_WORKER_DIED. */
  async observe(machine: Machine, request: ObservationRequest): Promise<Observation> {
    if (this.active !== undefined)
      throw new SternaError('E_STATE', 'The guest is observed already');
    const ending = new AbortController();
    const random = new Random(Math.floor(this.clock.nowMs() * 1000));
    const work = measureDirtyRate(machine, request, this.clock, random, ending.signal);
    this.active = { ending, over: work };
    try {
      return await work;
    } finally {
      this.active = undefined;
    }
  }

  /** Ends what is under way now; resolves when no log will be flipped any more. Never rejects. */
  async end(): Promise<void> {
    this.active?.ending.abort();
    await this.active?.over.catch(() => {});
  }
}
