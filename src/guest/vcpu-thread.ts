import { systemClock } from '../base/index.ts';
import {
  ControlBlock,
  dirtyMapAddress,
  GuestMemory,
  type MmuSettings,
  type RamBlock,
  Safepoint,
  waitForMissingPage,
} from '../guestmem/index.ts';
import { ConsoleDevice } from './console-device.ts';
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
  const programs = instantiatePrograms(memory, seed, {
    guestFault: strictMmuHost().guestFault,
    pageMissing: (block, pfn) =>
      waitForMissingPage(control, vcpu, block.layout.firstPfn + pfn, () => isPresent(block, pfn)),
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
    programs,
    clock,
  });
}

function isPresent(block: RamBlock, pfn: number): boolean {
  // Pairs with the store by which the migration worker says that the page has come.
  return Atomics.load(block.bytes, block.layout.receivedMap + pfn) !== 0;
}
