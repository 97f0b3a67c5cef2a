import type { GuestMemoryHandles, MachineDescription } from '../guestmem/index.ts';
import { REGISTER_BYTES, VcpuRegisters } from './vcpu-registers.ts';

/** All that the threads of one agent share of a workload machine; can be posted. */
export interface WorkloadMachineHandles {
  readonly description: MachineDescription;
  readonly memory: GuestMemoryHandles;
  readonly control: SharedArrayBuffer;
  readonly registers: SharedArrayBuffer;
  readonly device: SharedArrayBuffer;
  readonly mailbox: SharedArrayBuffer;
}

/** The registers of every vCPU, in order. */
export function registersOf(shared: SharedArrayBuffer): VcpuRegisters[] {
  return Array.from(
    { length: shared.byteLength / REGISTER_BYTES },
    (_, vcpu) => new VcpuRegisters(shared, vcpu * REGISTER_BYTES),
  );
}
