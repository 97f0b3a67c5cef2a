import type { Machine } from './machine.ts';

/** How busy the busiest vCPU of a guest is, since a moment. */
export class BusyMeter {
  private readonly machine: Pick<Machine, 'busyMs'>;
  private sinceMs = 0;
  private since: readonly number[] = [];

  constructor(machine: Pick<Machine, 'busyMs'>, nowMs: number) {
    this.machine = machine;
    this.restart(nowMs);
  }

  /** Counts from now on. */
  restart(nowMs: number): void {
    this.sinceMs = nowMs;
    this.since = this.machine.busyMs();
  }

  /** Share of its time in which it ran guest code, 0 to 1; 0 when no time has passed. */
  share(nowMs: number): number {
    const passedMs = nowMs - this.sinceMs;
    if (passedMs <= 0) return 0;
    const ranMs = this.machine.busyMs().map((ms, vcpu) => ms - (this.since[vcpu] ?? 0));
    // A slice counts when it ends, so that a short stretch may have more than it lasted.
    return Math.min(1, Math.max(...ranMs) / passedMs);
  }
}
