import type { VcpuRegisters } from './vcpu-registers.ts';
import { changedBytes, framePages } from './workload/stream-spec.ts';
import type { WorkloadProgram } from './workload/workload-program.ts';
import type { PageRange } from './workload/workload-ranges.ts';
import type { WorkloadSpec } from './workload/workload-spec.ts';
import { WRITE_PATTERNS } from './workload/write-pattern.ts';

/** The program with which a vCPU writes its part of the hot range, whichever the workload has. */
export class HotProgram {
  private readonly spec: WorkloadSpec;
  private readonly hot: PageRange;

  /** Tells all `programs` of the vCPU, one for each block, what they write. */
  constructor(spec: WorkloadSpec, hot: PageRange, programs: readonly WorkloadProgram[]) {
    this.spec = spec;
    this.hot = hot;
    for (const program of programs) this.configure(program);
  }

  /**
   * Up to `budget` accesses in one block, from where the registers are. What it did is in the
   * program; it throws what a missing page throws.
   */
  run(program: WorkloadProgram, own: VcpuRegisters, budget: number): void {
    const { hot } = this;
    switch (this.spec.kind) {
      case 'idle':
      case 'trace':
        return;
      case 'ab':
        program.abRun(own.nextPfn, hot.first, hot.count, budget);
        return;
      case 'lmbench':
        program.lmbenchRun(own.nextPfn, budget);
        return;
      case 'stream':
        program.streamRun(own.nextPfn, Math.floor(own.writes / hot.count) + 1, budget);
        return;
      default:
        program.memwriteRun(own.nextPfn, own.random, budget);
    }
  }

  /** Whether its run leaves a random state in the program. */
  get isRandom(): boolean {
    return this.spec.kind === 'memwrite' || this.spec.kind === 'erp';
  }

  private configure(program: WorkloadProgram): void {
    const { spec } = this;
    const { first, count } = this.hot;
    if (spec.kind === 'lmbench') {
      program.lmbenchConfigure(first, count, spec.unitBytes, spec.strideBytes);
    } else if (spec.kind === 'stream') {
      program.streamConfigure(first, count, framePages(spec), changedBytes(spec));
    } else if (spec.kind === 'memwrite' || spec.kind === 'erp') {
      const pattern = WRITE_PATTERNS.indexOf(spec.pattern);
      const { words, stepBytes, readPercent } = spec;
      program.memwriteConfigure(first, count, pattern, words, stepBytes, readPercent);
    }
  }
}

/** Pages per second that a vCPU writes by itself; undefined: as fast as it can. */
export function ratePagesPerSecond(spec: WorkloadSpec, share: number): number | undefined {
  switch (spec.kind) {
    case 'stream':
      // Each vCPU has a channel of its own.
      return spec.framesPerSecond * framePages(spec);
    case 'erp':
      return spec.ratePagesPerSecond * share;
    case 'memwrite':
    case 'lmbench':
      return spec.ratePagesPerSecond > 0 ? spec.ratePagesPerSecond * share : undefined;
    default:
      return undefined;
  }
}
