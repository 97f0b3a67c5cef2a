import { systemClock } from '../base/index.ts';
import {
  ControlBlock,
  dirtyMapAddress,
  GuestMemory,
  MissingPages,
  type MmuSettings,
  Safepoint,
} from '../guestmem/index.ts';
import { ConsoleDevice } from './console-device.ts';
import { Mailbox } from './service/mailbox.ts';
import type { WorkloadMachineHandles } from './shared-state.ts';
import { registersOf } from './shared-state.ts';
import { runVcpu } from './vcpu-loop.ts';
import { instantiatePrograms, strictMmuHost } from './workload/workload-program.ts';
import { workloadConfig } from './workload-description.ts';

export interface VcpuWorkerData {
  readonly vcpu: number;
  readonly handles: WorkloadMachineHandles;
}

/** Puts one vCPU together from what its thread was given, and runs it until it is told to end. */
export function runWorkloadVcpu({ vcpu, handles }: VcpuWorkerData): void {
  const clock = systemClock();
  const memory = GuestMemory.attach(handles.memory);
  const control = new ControlBlock(handles.control);
  const { spec, seed } = workloadConfig(handles.description);
  const missing = new MissingPages(control, vcpu, clock);
  const programs = instantiatePrograms(memory, seed, {
    guestFault: strictMmuHost().guestFault,
    pageMissing: (block, pfn) => missing.wait(block, pfn),
  });
  const configure = ({ activeMap, postcopy }: MmuSettings): void => {
    for (const [index, { layout }] of memory.blocks.entries()) {
      programs[index]?.mmuSelectMap(dirtyMapAddress(layout, vcpu, activeMap));
      programs[index]?.mmuPostcopy(postcopy);
    }
  };
  runVcpu({
    vcpu,
    spec,
    memory,
    control,
    safepoint: new Safepoint({ block: control, memory, vcpu, clock, configure }),
    registers: registersOf(handles.registers),
    console: new ConsoleDevice(handles.device),
    mailbox: new Mailbox(handles.mailbox),
    programs,
    missing,
    clock,
  });
}
