import { type Clock, Random } from '../../base/index.ts';
import type { Machine, RecordedTrace } from '../../guestmem/index.ts';
import { type DirtyRate, type DirtyRateRequest, measureDirtyRate } from './dirty-rate.ts';
import { SingleTask } from './single-task.ts';
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
  private readonly task = new SingleTask('The guest is observed already');

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Resolves at its end. Rejects with E_STATE when there is one already, E_FILE or E_WORKER_DIED.
   */
  observe(machine: Machine, request: ObservationRequest): Promise<Observation> {
    return this.task.run((signal) => this.begin(machine, request, signal));
  }

  /** Ends what is under way now; resolves when no log will be flipped any more. Never rejects. */
  end(): Promise<void> {
    return this.task.end();
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
