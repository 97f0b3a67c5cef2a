import type { Clock } from '../../../base/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { HistoryPlan } from '../history-plan.ts';
import type { SimulatedHost } from '../simulated-host.ts';

/** Beyond noticing that a link is lost: the longest pause between attempts, and a slow frame. */
const SPARE_MS = 12_000;

/**
 * A vCPU that waits for a page gets it: within a bound after it began to wait, or after something
 * broke last.
 */
export class WaitCheck implements Checker {
  private readonly log: EventLog;
  private readonly clock: Clock;
  private readonly limitMs: number;
  /** Since when which vCPU of the host waits. */
  private readonly since = new Map<string, number>();
  private troubleMs = 0;
  private isSourceGone = false;

  constructor(log: EventLog, clock: Clock, { parameters }: HistoryPlan) {
    this.log = log;
    this.clock = clock;
    this.limitMs = 2 * parameters.stallTimeoutMs + SPARE_MS;
  }

  /** Something was broken now; it takes time until the link is whole again. */
  private broke(): void {
    this.troubleMs = this.clock.nowMs();
  }

  saw(event: SimulationEvent): void {
    if (event.kind === 'attempt') this.isSourceGone = false;
    if (event.kind === 'killed' || event.kind === 'gave-up') this.isSourceGone = true;
    if (event.kind === 'broke' || event.kind === 'killed') this.broke();
    if (event.kind === 'stepped') this.look(event.host);
  }

  private look({ name, guest }: SimulatedHost): void {
    const nowMs = this.clock.nowMs();
    const waiting = new Set(
      (guest?.machine.faults.waiting() ?? []).map(({ vcpu }) => `${name}${vcpu}`),
    );
    for (const vcpu of [...this.since.keys()]) if (!waiting.has(vcpu)) this.since.delete(vcpu);
    for (const vcpu of waiting) {
      const sinceMs = this.since.get(vcpu) ?? nowMs;
      this.since.set(vcpu, sinceMs);
      if (this.isSourceGone || nowMs - Math.max(sinceMs, this.troubleMs) <= this.limitMs) continue;
      this.log.violation(`vCPU ${vcpu} waits for a page since ${sinceMs.toFixed(1)} ms`);
      this.broke();
    }
  }
}
