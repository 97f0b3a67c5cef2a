import { DirtyLimiter } from '../dirty-limit/dirty-limiter.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { PolicyRound } from '../policy/policy.ts';
import { outrunsLink } from '../policy/throttle.ts';
import type { GuestThrottle } from './guest-throttle.ts';

/**
 * The capability `dirty-limit`: from the moment at which the guest turns out to be too fast, vCPUs
 * that dirty more than `vcpu-dirty-limit` are slowed, each as far as it takes, and no other.
 */
export class VcpuLimits {
  private readonly context: OutgoingContext;
  private readonly throttle: GuestThrottle;
  private readonly limiter = new DirtyLimiter();
  private readonly dirtied: number[];
  private periodStartMs: number;
  private isArmed = false;

  constructor(context: OutgoingContext, throttle: GuestThrottle) {
    this.context = context;
    this.throttle = throttle;
    this.dirtied = new Array<number>(context.machine.description.vcpuCount).fill(0);
    this.periodStartMs = context.clock.nowMs();
  }

  /** A sync has found so many pages in the log of each vCPU. */
  noteSync(dirtiedPages: readonly number[]): void {
    for (const vcpu of this.dirtied.keys()) {
      this.dirtied[vcpu] = (this.dirtied[vcpu] ?? 0) + (dirtiedPages[vcpu] ?? 0);
    }
  }

  /** After a round that another one follows. */
  apply(round: PolicyRound): void {
    const { capabilities, parameters, clock } = this.context;
    if (!capabilities['dirty-limit']) return;
    this.isArmed ||= outrunsLink(round, parameters.throttleTriggerPercent);
    const spanMs = clock.nowMs() - this.periodStartMs;
    if (spanMs < parameters.vcpuDirtyLimitPeriodMs) return;
    if (this.isArmed) {
      const vcpus = [...this.dirtied.keys()];
      for (const vcpu of vcpus) {
        this.limiter.set(vcpu, parameters.vcpuDirtyLimitMegabytesPerSecond);
      }
      this.limiter.note(this.dirtied, spanMs);
      this.throttle.setEach(vcpus.map((vcpu) => this.limiter.percent(vcpu)));
    }
    this.dirtied.fill(0);
    this.periodStartMs = clock.nowMs();
  }
}
