import type { GuestMemory } from '../../guestmem/index.ts';
import type { VcpuRegisters } from '../vcpu-registers.ts';
import type { WorkloadProgram } from '../workload/workload-program.ts';
import type { PageRange } from '../workload/workload-ranges.ts';
import type { WorkloadSpec } from '../workload/workload-spec.ts';
import { ErpService } from './erp-service.ts';
import type { Mailbox } from './mailbox.ts';
import { StreamService } from './stream-service.ts';

/** What a vCPU does for clients, beside what it does for itself. */
export interface GuestService {
  /** One slice of it, or none: false when there is nothing to do now. */
  step(): boolean;
}

export interface ServedVcpu {
  readonly vcpu: number;
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  readonly registers: VcpuRegisters;
  readonly mailbox: Mailbox;
  /** The part of the hot range that is this vCPU's. */
  readonly hot: PageRange;
  /** The program of the block in which the page is. */
  program(pfn: number): WorkloadProgram;
  /** A slice of up to so many accesses to the hot range; returns how many it made. */
  access(budget: number): number;
}

/** Undefined for a workload that serves nobody. */
export function guestService(spec: WorkloadSpec, parts: ServedVcpu): GuestService | undefined {
  if (spec.kind === 'stream') return new StreamService(spec, parts);
  if (spec.kind === 'erp') return new ErpService(spec, parts);
  return undefined;
}
