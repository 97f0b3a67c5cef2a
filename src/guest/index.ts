export { AttachedMachine, type WorkloadProgress } from './attached-machine.ts';
export { AttachedRiscv } from './riscv/attached-riscv.ts';
export { type NamedFile, planBoot } from './riscv/board/boot/boot-plan.ts';
export type { DriveSpec } from './riscv/board/drive/drive-spec.ts';
export { parseDriveSpec } from './riscv/board/drive/drive-spec.ts';
export type { SerialRing } from './riscv/board/serial/serial-ring.ts';
export {
  parseSerialSpec,
  type SerialSocket,
  type SerialSpec,
} from './riscv/board/serial/serial-spec.ts';
export {
  boardConfig,
  type DriveConfig,
  driveShape,
  RISCV_MACHINE_TYPE,
  refuseRiscv,
  riscvDescription,
} from './riscv/riscv-description.ts';
export type { RiscvMachineHandles } from './riscv/riscv-handles.ts';
export { RISCV_MACHINE_BYTES_MAX, RiscvMachine } from './riscv/riscv-machine.ts';
export { Mailbox, SLOTS_PER_VCPU } from './service/mailbox.ts';
export * from './service/service-message.ts';
export { frameDamage } from './service/stream-frame.ts';
export type { WorkloadMachineHandles } from './shared-state.ts';
export { SimMachine, type SimMachineOptions } from './sim/sim-machine.ts';
export { simPage, simPageVersion } from './sim/sim-page.ts';
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
