export { AttachedMachine, type WorkloadProgress } from './attached-machine.ts';
export { Mailbox, SLOTS_PER_VCPU } from './service/mailbox.ts';
export * from './service/service-message.ts';
export { frameDamage } from './service/stream-frame.ts';
export type { WorkloadMachineHandles } from './shared-state.ts';
export { SimMachine, type SimMachineOptions } from './sim-machine.ts';
export { simPage, simPageVersion } from './sim-page.ts';
export { installTrace } from './trace/install-trace.ts';
export { type ReplayedTrace, readReplayedTrace } from './trace/read-trace.ts';
export type { WorkloadCheck } from './workload/workload-check.ts';
export {
  instantiatePrograms,
  strictMmuHost,
  type WorkloadProgram,
} from './workload/workload-program.ts';
export {
  checkWorkloadFits,
  formatWorkloadSpec,
  parseWorkloadSpec,
  type WorkloadSpec,
} from './workload/workload-spec.ts';
export {
  machineDescription,
  refusal,
  splitRam,
  type WorkloadMachineOptions,
} from './workload-description.ts';
export { WorkloadMachine } from './workload-machine.ts';
