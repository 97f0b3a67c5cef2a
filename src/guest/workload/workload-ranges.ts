import { PAGE_BYTES } from '../../base/index.ts';
import { framePages } from './stream-spec.ts';
import { AB_END_BYTES, AB_START_BYTES, type WorkloadSpec } from './workload-spec.ts';

/** Consecutive guest pages. */
export interface PageRange {
  readonly first: number;
  readonly count: number;
}

/** Pages that boot fills with noise. */
export function fillRange(spec: WorkloadSpec): PageRange {
  // What a trace has at first is put there before it starts.
  if (spec.kind === 'ab' || spec.kind === 'trace') return { first: 0, count: 0 };
  const bytes = spec.kind === 'erp' ? spec.heapBytes : spec.fillBytes;
  return { first: 0, count: bytes / PAGE_BYTES };
}

/** Pages that the workload writes when it runs, beside tables of its sessions. */
export function hotRange(spec: WorkloadSpec, ramPages: number): PageRange {
  switch (spec.kind) {
    case 'idle':
      return { first: 0, count: 0 };
    case 'ab': {
      const first = AB_START_BYTES / PAGE_BYTES;
      return { first, count: Math.min(AB_END_BYTES / PAGE_BYTES, ramPages) - first };
    }
    case 'lmbench':
      return { first: 0, count: spec.sizeBytes / PAGE_BYTES };
    case 'stream':
      return { first: 0, count: spec.ringBytes / PAGE_BYTES };
    case 'memwrite':
    case 'erp':
      return { first: 0, count: spec.hotBytes / PAGE_BYTES };
    case 'trace':
      return { first: 0, count: spec.pages };
  }
}

/** What of the hot range belongs to one vCPU: whole frames of a stream. */
export function hotPart(
  spec: WorkloadSpec,
  ramPages: number,
  vcpu: number,
  vcpuCount: number,
): PageRange {
  const unitPages = spec.kind === 'stream' ? framePages(spec) : 1;
  return partOf(hotRange(spec, ramPages), vcpu, vcpuCount, unitPages);
}

/** The tables of an erp's sessions: a page of each vCPU, behind the heap. */
export function tableRange(spec: WorkloadSpec, vcpuCount: number): PageRange {
  if (spec.kind !== 'erp') return { first: 0, count: 0 };
  return { first: spec.heapBytes / PAGE_BYTES, count: vcpuCount };
}

/**
 * The contiguous part of a range that belongs to one vCPU; the parts of all make up the range. The
 * range and its parts have whole units.
 */
export function partOf(
  range: PageRange,
  vcpu: number,
  vcpuCount: number,
  unitPages = 1,
): PageRange {
  const units = range.count / unitPages;
  const from = Math.floor((units * vcpu) / vcpuCount) * unitPages;
  const to = Math.floor((units * (vcpu + 1)) / vcpuCount) * unitPages;
  return { first: range.first + from, count: to - from };
}
