import { DirtyLimiter, outrunsLink, type PolicyRound } from '../../../source/index.ts';
import type { PlanParameters } from '../plan-setup.ts';

/**
 * The capability `dirty-limit`, with the engine's own controller. A trace does not say which vCPU
 * dirtied a page, so all of them are taken to share the work.
 */
export class VcpuLimitModel {
  private readonly parameters: PlanParameters;
  private readonly vcpuCount: number;
  private readonly limiter = new DirtyLimiter();
  private isArmed = false;
  private spanMs = 0;
  private dirtiedPages = 0;

  constructor(parameters: PlanParameters, vcpuCount: number) {
    this.parameters = parameters;
    this.vcpuCount = vcpuCount;
  }

  /** After a round that another one follows: the throttle from now on, percent. */
  next(round: PolicyRound): number {
    const { parameters, limiter, vcpuCount } = this;
    const pass = round.history.at(-1);
    this.spanMs += pass?.durationMs ?? 0;
    this.dirtiedPages += pass?.dirtiedPages ?? 0;
    this.isArmed ||= outrunsLink(round, parameters.throttle.triggerPercent);
    if (this.spanMs < parameters.vcpuDirtyLimitPeriodMs) return round.throttlePercent;
    const { spanMs, dirtiedPages } = this;
    this.spanMs = 0;
    this.dirtiedPages = 0;
    if (!this.isArmed) return round.throttlePercent;
    const vcpus = Array.from({ length: vcpuCount }, (_, vcpu) => vcpu);
    for (const vcpu of vcpus) limiter.set(vcpu, parameters.vcpuDirtyLimitMegabytesPerSecond);
    limiter.note(
      vcpus.map(() => dirtiedPages / vcpuCount),
      spanMs,
    );
    return limiter.percent(0);
  }
}
