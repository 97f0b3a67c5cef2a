import { type Clock, Random, SternaError } from '../../base/index.ts';
import type { Machine, RecordedTrace } from '../../guestmem/index.ts';
import { type DirtyRate, type DirtyRateRequest, measureDirtyRate } from './dirty-rate.ts';
import { recordTraceFile, type TraceRequest } from './trace-file.ts';

export type ObservationRequest = DirtyRateRequest | TraceRequest;
export type Observation = DirtyRate | RecordedTrace;

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

  /**
   * Resolves at its end. Rejects with E_STATE when there is one already, E_FILE or E_WORKER_DIED.
   */
  async observe(machine: Machine, request: ObservationRequest): Promise<Observation> {
    if (this.active !== undefined) {
      throw new SternaError('E_STATE', 'The guest is observed already');
    }
    const ending = new AbortController();
    const work = this.begin(machine, request, ending.signal);
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

  private begin(
    machine: Machine,
    request: ObservationRequest,
    signal: AbortSignal,
  ): Promise<Observation> {
    const { clock } = this;
    const random = new Random(Math.floor(clock.nowMs() * 1000));
    return request.kind === 'trace'
      ? recordTraceFile(machine, request, clock, random, signal)
      : measureDirtyRate(machine, request, clock, random, signal);
  }
}
