import { type Clock, type Logger, SternaError, type VcpuDirtyLimit } from '../../base/index.ts';
import type { Machine } from '../../guestmem/index.ts';
import { DirtyLimiter } from '../../source/index.ts';

/**
 * Keeps dirty limits outside of migrations: looks once a period at what each vCPU has dirtied. For
 * that it flips the dirty logs, which only one may do at a time, so a migration has it `hold`
 * first. What it finds in the logs is forgotten, which no migration minds: each begins with every
 * page that ever held something.
 */
export class DirtyLimitLoop {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly limiter = new DirtyLimiter();
  private machine: Machine | undefined;
  private running: Promise<void> | undefined;
  private stopping = new AbortController();
  /** Those who flip the logs now, or are about to. */
  private holders = 0;
  private periodMs = 1000;

  constructor(clock: Clock, log: Logger) {
    this.clock = clock;
    this.log = log;
  }

  /** MB/s; without `vcpu` for each. */
  set(machine: Machine, vcpu: number | undefined, limit: number, periodMs: number): void {
    if (this.machine?.description.uuid !== machine.description.uuid) this.clear();
    this.machine ??= machine;
    this.periodMs = periodMs;
    for (const each of vcpusOf(machine, vcpu)) this.limiter.set(each, limit);
    this.start();
  }

  cancel(vcpu: number | undefined): void {
    const { machine } = this;
    if (machine === undefined) return;
    for (const each of vcpusOf(machine, vcpu)) {
      this.limiter.cancel(each);
      machine.throttle('dirty-limit', 0, each);
    }
    if (this.limiter.isIdle) this.stopping.abort();
  }

  query(): readonly VcpuDirtyLimit[] {
    return this.limiter.info();
  }

  /**
   * Resolves when no flip of its own is under way; there will be none until everyone who holds it
   * has released it. Throttles stay as they are.
   */
  async hold(): Promise<void> {
    this.holders += 1;
    this.stopping.abort();
    await this.running;
  }

  release(): void {
    this.holders -= 1;
    this.start();
  }

  /** The guest is gone: its limits were its own. */
  clear(): void {
    this.cancel(undefined);
    this.machine = undefined;
  }

  private start(): void {
    if (this.holders > 0 || this.limiter.isIdle) return;
    if (this.running !== undefined && !this.stopping.signal.aborted) return;
    const before = this.running;
    const stopping = new AbortController();
    this.stopping = stopping;
    const running = this.run(before, stopping.signal).finally(() => {
      if (this.running === running) this.running = undefined;
    });
    this.running = running;
  }

  private async run(before: Promise<void> | undefined, stopped: AbortSignal): Promise<void> {
    await before;
    try {
      // What was dirtied until now belongs to no period.
      await this.look();
      for (let fromMs = this.clock.nowMs(); ; fromMs = this.clock.nowMs()) {
        await this.clock.sleep(this.periodMs, stopped);
        if (stopped.aborted) return;
        const dirtied = await this.look();
        this.apply(dirtied, this.clock.nowMs() - fromMs);
      }
    } catch (thrown) {
      const { code, message } = thrown instanceof SternaError ? thrown : { code: '', message: '' };
      this.log.warn({ event: 'dirty-limit.ended', code, error: message || String(thrown) });
    }
  }

  /** Pages in the log of each vCPU since the last look. */
  private async look(): Promise<readonly number[]> {
    const { machine } = this;
    if (machine === undefined) return [];
    await machine.flipDirtyLogs();
    return machine.memory.forgetRetiredLogs();
  }

  private apply(dirtied: readonly number[], spanMs: number): void {
    const { machine, limiter } = this;
    // A guest that stands still has not become slower by itself.
    if (machine === undefined || machine.pauseReasons().length > 0) return;
    limiter.note(dirtied, spanMs);
    for (const vcpu of vcpusOf(machine, undefined)) {
      machine.throttle('dirty-limit', limiter.percent(vcpu), vcpu);
    }
  }
}

function vcpusOf({ description }: Machine, vcpu: number | undefined): readonly number[] {
  if (vcpu !== undefined) return [vcpu];
  return Array.from({ length: description.vcpuCount }, (_, index) => index);
}
