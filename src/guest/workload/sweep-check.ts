import type { PageCheck } from './page-walk.ts';
import { changedBytes, framePages } from './stream-spec.ts';
import type { PageRange } from './workload-ranges.ts';
import type { WorkloadSpec } from './workload-spec.ts';

/** Workloads whose vCPUs write the pages of their part in turn. */
export type SweepingSpec = Extract<WorkloadSpec, { kind: 'ab' | 'lmbench' | 'stream' }>;

/**
 * What pages must hold that were written `sweeps` times; undefined: what they held before. `part`
 * is the vCPU's; `filled`: boot has filled them with noise.
 */
export function sweepCheck(
  spec: SweepingSpec,
  part: PageRange,
  filled: boolean,
  sweeps: number,
): PageCheck | undefined {
  switch (spec.kind) {
    case 'ab':
      return (program, first, count) => program.checkAb(first, count, sweeps & 0xff);
    case 'lmbench': {
      const { unitBytes, strideBytes } = spec;
      return (program, first, count) =>
        program.checkLmbench(first, count, filled, unitBytes, strideBytes, sweeps);
    }
    case 'stream':
      if (sweeps === 0) return undefined;
      return (program, first, count) => {
        program.streamConfigure(part.first, part.count, framePages(spec), changedBytes(spec));
        return program.checkStream(first, count, sweeps);
      };
  }
}
