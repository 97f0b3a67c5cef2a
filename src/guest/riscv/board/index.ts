export {
  FINISHER,
  HARTS_MAX,
  PLIC,
  RAM_BASE,
  RAM_BYTES_MAX,
  TIMEBASE_HZ,
  UART,
  VIRTIO,
} from './address-map.ts';
export { Board, type BoardOptions } from './board.ts';
export { BoardBlock } from './board-block.ts';
export { type BoardConfig, boardLines, checkBoardConfig, type SlotConfig } from './board-config.ts';
export type { BoardEvent } from './board-event.ts';
export { type BootFiles, type BootPlan, type NamedFile, planBoot } from './boot/boot-plan.ts';
export { deviceTree } from './boot/device-tree.ts';
export type { Drive } from './drive/drive.ts';
export { type DriveSpec, parseDriveSpec } from './drive/drive-spec.ts';
export { type DriveFailure, FileDrive } from './drive/file-drive.ts';
export { DmaFault, type GuestRam } from './guest-ram.ts';
export type { MipWord } from './plic.ts';
export type { SbiHart, SbiOutcome } from './sbi/sbi-call.ts';
export { SerialRing } from './serial/serial-ring.ts';
export { parseSerialSpec, type SerialSocket, type SerialSpec } from './serial/serial-spec.ts';
export { SECTION_NAMES } from './state/state-sections.ts';
