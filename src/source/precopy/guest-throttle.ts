import type { Clock, ThrottleInfo } from '../../base/index.ts';
import type { Machine } from '../../guestmem/index.ts';

/** How far vCPUs are throttled for the migration's sake, now and on the average. */
export class GuestThrottle {
  private readonly machine: Machine;
  private readonly clock: Clock;
  private readonly startMs: number;
  private changedMs: number;
  private current = 0;
  /** Percent x milliseconds until the last change. */
  private paid = 0;
  private endMs: number | undefined;
  private wasUsed = false;

  constructor(machine: Machine, clock: Clock) {
    this.machine = machine;
    this.clock = clock;
    this.startMs = clock.nowMs();
    this.changedMs = this.startMs;
  }

  /** 0 to 99; of the slowest vCPU. */
  get percent(): number {
    return this.current;
  }

  /** Every vCPU alike. */
  set(percent: number): void {
    if (percent === this.current) return;
    this.machine.throttle('migration', percent);
    this.note(percent);
  }

  /** Each vCPU its own. */
  setEach(percents: readonly number[]): void {
    for (const [vcpu, percent] of percents.entries()) {
      this.machine.throttle('migration', percent, vcpu);
    }
    this.note(Math.max(0, ...percents));
  }

  /** For good: the guest is as fast as it was, and what it has paid is counted until here. */
  lift(): void {
    this.set(0);
    this.endMs ??= this.clock.nowMs();
  }

  /** Undefined when the guest was never slowed. */
  info(): ThrottleInfo | undefined {
    if (!this.wasUsed) return undefined;
    const nowMs = this.endMs ?? this.clock.nowMs();
    const spanMs = nowMs - this.startMs;
    const paid = this.paid + this.current * (nowMs - this.changedMs);
    return { percent: this.current, meanPercent: spanMs > 0 ? paid / spanMs : this.current };
  }

  private note(percent: number): void {
    const nowMs = this.clock.nowMs();
    this.paid += this.current * (nowMs - this.changedMs);
    this.changedMs = nowMs;
    this.current = percent;
    this.wasUsed ||= percent > 0;
  }
}
