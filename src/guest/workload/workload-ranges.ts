import { PAGE_BYTES } from '../../base/index.ts';
import { AB_END_BYTES, AB_START_BYTES, type WorkloadSpec } from './workload-spec.ts';

/** Consecutive guest pages. */
export interface PageRange {
  readonly first: number;
  readonly count: number;
}

/** Pages that boot fills with noise. */
export function fillRange(spec: WorkloadSpec): PageRange {
  return { first: 0, count: spec.kind === 'ab' ? 0 : spec.fillBytes / PAGE_BYTES };
}

/** Pages that the workload writes when it runs. */
export function hotRange(spec: WorkloadSpec, ramPages: number): PageRange {
  if (spec.kind === 'idle') return { first: 0, count: 0 };
  if (spec.kind === 'memwrite') return { first: 0, count: spec.hotBytes / PAGE_BYTES };
  const first = AB_START_BYTES / PAGE_BYTES;
  return { first, count: Math.min(AB_END_BYTES / PAGE_BYTES, ramPages) - first };
}

/** The contiguous part of a range that belongs to one vCPU; the parts of all make up the range. */
export function partOf(range: PageRange, vcpu: number, vcpuCount: number): PageRange {
  const from = Math.floor((range.count * vcpu) / vcpuCount);
  const to = Math.floor((range.count * (vcpu + 1)) / vcpuCount);
  return { first: range.first + from, count: to - from };
}
