import { PAGE_BYTES, type VcpuDirtyLimit } from '../../base/index.ts';
import { nextSleepRatio, sleepPercent } from './dirty-limit.ts';

const MEGABYTE = 2 ** 20;

interface LimitedVcpu {
  limit: number;
  current: number;
  ratio: number;
}

/** The dirty limits of a guest's vCPUs, and how far each has to be slowed for its own. */
export class DirtyLimiter {
  private readonly vcpus = new Map<number, LimitedVcpu>();

  get isIdle(): boolean {
    return this.vcpus.size === 0;
  }

  /** MB/s. What is known of the vCPU stays. */
  set(vcpu: number, limit: number): void {
    const known = this.vcpus.get(vcpu) ?? { current: 0, ratio: 0 };
    this.vcpus.set(vcpu, { ...known, limit });
  }

  cancel(vcpu: number): void {
    this.vcpus.delete(vcpu);
  }

  /** Each vCPU has dirtied so many pages in `spanMs`. */
  note(dirtiedPages: readonly number[], spanMs: number): void {
    if (spanMs <= 0) return;
    for (const [vcpu, state] of this.vcpus) {
      const bytes = (dirtiedPages[vcpu] ?? 0) * PAGE_BYTES;
      state.current = (bytes * 1000) / spanMs / MEGABYTE;
      state.ratio = nextSleepRatio(state.ratio, state.limit, state.current);
    }
  }

  /** Share of its time that the vCPU has to sleep, percent; 0 where it has no limit. */
  percent(vcpu: number): number {
    return sleepPercent(this.vcpus.get(vcpu)?.ratio ?? 0);
  }

  info(): VcpuDirtyLimit[] {
    return [...this.vcpus]
      .map(([vcpu, { limit, current }]) => ({
        vcpu,
        limitMegabytesPerSecond: limit,
        currentMegabytesPerSecond: Math.round(current),
      }))
      .sort((first, second) => first.vcpu - second.vcpu);
  }
}
