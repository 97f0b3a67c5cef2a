export { waitAsync } from './async-wait.ts';
export {
  type BlockLayout,
  dirtyMapAddress,
  LANE_COUNT,
  MULTIFD_SLOT,
  PAGE_MAP_BYTES,
  SECOND_SLOT,
  SLOT_BYTES,
  SLOT_COUNT,
  URGENT_SLOT_BYTES,
  URGENT_SLOT_COUNT,
} from './block/block-layout.ts';
export { type ChangedPages, ChangeProbe } from './block/change-probe.ts';
export {
  type CompressRequest,
  compressBody,
  type ProbeRequest,
  probeBody,
} from './block/compress.ts';
export type * from './block/kernel-results.ts';
export { RamBlock } from './block/ram-block.ts';
export { BusyMeter } from './busy-meter.ts';
export { ControlBlock, VCPU_STATE } from './control-block.ts';
export { countBits, type DirtySample, DirtySampler } from './dirty-sampler.ts';
export { LocalPageFaults } from './faults/local-page-faults.ts';
export { MissingPages, SliceInterrupted } from './faults/missing-page.ts';
export type * from './faults/page-faults.ts';
export { SharedPageFaults } from './faults/shared-page-faults.ts';
export { GuestClock } from './guest-clock.ts';
export { GuestMemory, type GuestMemoryHandles } from './guest-memory.ts';
export type * from './machine.ts';
export { MemoryReserve } from './memory-reserve.ts';
export type { ApplyOutcome } from './page-kernels.ts';
export { type MmuSettings, Safepoint } from './safepoint.ts';
export {
  ASLEEP_PERCENT_MAX,
  type ThrottleReason,
  type ThrottleSlice,
  throttleSlice,
} from './throttle-slice.ts';
export * from './trace/trace.ts';
export { decodeTrace } from './trace/trace-decoder.ts';
export { encodeTrace } from './trace/trace-encoder.ts';
export { type RecordedTrace, recordTrace, type TraceSettings } from './trace/trace-recorder.ts';
export { VcpuControl } from './vcpu-control.ts';
