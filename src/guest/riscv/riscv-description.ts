import {
  formatBytes,
  isWholeIn,
  NAME_LENGTH_MAX,
  PAGE_BYTES,
  RAM_BLOCK_BYTES_MAX,
  RAM_BYTES_MIN,
  SternaError,
} from '../../base/index.ts';
import type { MachineDescription, MachineRefusal } from '../../guestmem/index.ts';
import { RAM_BASE, VIRTIO } from './board/address-map.ts';
import type { BoardConfig, SlotConfig } from './board/board-config.ts';
import type { DriveSpec } from './board/drive/drive-spec.ts';
import { FileDrive } from './board/drive/file-drive.ts';

/** QEMU's board `virt`, as far as a migration needs to tell it apart from others. */
export const RISCV_MACHINE_TYPE = 'virt-riscv64';
const RISCV_MACHINE_VERSION = 1;
/** Several harts are prepared for, and not offered yet. */
const HART_COUNT_MAX = 1;
const SECTOR_BYTES = 512;
/** One slot of virtio is the guest's source of random numbers. */
const DRIVE_COUNT_MAX = VIRTIO.slotCount - 1;
const DRIVES_TEXT_MAX = 2048;

/** What the guest can tell of the machine: both sides build it from this. */
export interface RiscvConfig {
  /** Time from the count of instructions, interrupts at fixed counts. */
  readonly deterministic: boolean;
  /** Deterministic: the guest stands still for good once it executed so many; 0: never. */
  readonly haltAt: number;
  readonly drives: readonly DriveConfig[];
  /** Where a bare-metal program says that it has ended, guest-physical; 0: nowhere. */
  readonly tohost: number;
  /** Of the guest's source of random numbers where that is to be deterministic. */
  readonly seed: number;
}

/** A disk as both sides must have it; what is behind it is each side's own. */
export type DriveConfig = Extract<SlotConfig, { readonly kind: 'blk' }>;

export interface RiscvMachineOptions extends RiscvConfig {
  readonly name: string;
  readonly uuid: string;
  readonly ramBytes: number;
  readonly hartCount: number;
}

/** Throws E_CONFIG_INVALID. */
export function riscvDescription(options: RiscvMachineOptions): MachineDescription {
  const { name, uuid, ramBytes, hartCount, deterministic, haltAt, tohost, drives, seed } = options;
  const description: MachineDescription = {
    type: RISCV_MACHINE_TYPE,
    version: RISCV_MACHINE_VERSION,
    name,
    uuid,
    vcpuCount: hartCount,
    ramBlocks: [{ name: 'ram0', bytes: ramBytes }],
    config: { deterministic, haltAt, tohost, seed, drives: JSON.stringify(drives) },
  };
  const refused = refuseRiscv(description);
  if (refused !== undefined) {
    throw new SternaError('E_CONFIG_INVALID', refused.message, { detail: { ramBytes, hartCount } });
  }
  return description;
}

/**
 * Why this machine cannot be built, or undefined. `drives`: those that are here; undefined: of no
 * matter. The description may come from a peer: nothing of it is trusted.
 */
export function refuseRiscv(
  description: MachineDescription,
  drives?: readonly DriveConfig[],
): MachineRefusal | undefined {
  return (
    refuseKind(description) ??
    refuseRam(description) ??
    refuseConfig(description) ??
    (drives === undefined ? undefined : refuseDrives(riscvConfig(description).drives, drives))
  );
}

/** What a description that was not refused says. */
export function riscvConfig({ config }: MachineDescription): RiscvConfig {
  return {
    deterministic: config.deterministic === true,
    haltAt: Number(config.haltAt),
    tohost: Number(config.tohost),
    seed: Number(config.seed),
    drives: parseDrives(config.drives) ?? [],
  };
}

/** The board of the machine. */
export function boardConfig(description: MachineDescription): BoardConfig {
  const { deterministic, seed, drives } = riscvConfig(description);
  return {
    hartCount: description.vcpuCount,
    ramBytes: description.ramBlocks[0]?.bytes ?? 0,
    slots: [{ kind: 'rng' }, ...drives],
    ...(deterministic ? { randomSeed: seed } : {}),
  };
}

/** The slot of the first drive. */
export const FIRST_DRIVE_SLOT = 1;

function refuseKind({ version, vcpuCount, name }: MachineDescription): MachineRefusal | undefined {
  if (version !== RISCV_MACHINE_VERSION) {
    return refused(`Machine version ${version} is not supported; this is ${RISCV_MACHINE_VERSION}`);
  }
  if (!isWholeIn(vcpuCount, 1, HART_COUNT_MAX)) {
    return refused(`Machine ${RISCV_MACHINE_TYPE} has ${HART_COUNT_MAX} vCPU, not ${vcpuCount}`);
  }
  if (typeof name !== 'string' || name.length > NAME_LENGTH_MAX) {
    return refused(`The machine's name is longer than ${NAME_LENGTH_MAX} characters`);
  }
  return undefined;
}

function refuseRam({ ramBlocks }: MachineDescription): MachineRefusal | undefined {
  const code = 'E_HANDSHAKE_RAM_LAYOUT';
  const [block] = Array.isArray(ramBlocks) ? ramBlocks : [];
  if (block === undefined || ramBlocks.length !== 1) {
    return { code, message: `Machine ${RISCV_MACHINE_TYPE} has one RAM block` };
  }
  const { bytes } = block;
  if (!isWholeIn(bytes, RAM_BYTES_MIN, RAM_BLOCK_BYTES_MAX) || bytes % PAGE_BYTES !== 0) {
    const range = `${formatBytes(RAM_BYTES_MIN)} to ${formatBytes(RAM_BLOCK_BYTES_MAX)}`;
    return { code, message: `RAM is ${range} in whole pages, not ${bytes} bytes` };
  }
  return undefined;
}

function refuseConfig({ config, ramBlocks }: MachineDescription): MachineRefusal | undefined {
  const { deterministic, haltAt, tohost, seed, drives } = config ?? {};
  if (typeof deterministic !== 'boolean') {
    return refused('The machine does not say where its time comes from');
  }
  if (!isWholeIn(haltAt, 0, Number.MAX_SAFE_INTEGER)) {
    return refused('The count of instructions at which the machine halts is no count');
  }
  if (tohost !== 0 && !isWordOf(ramBlocks[0]?.bytes ?? 0, tohost)) {
    return refused('The word tohost is not in RAM');
  }
  if (!isWholeIn(seed, 0, 2 ** 32 - 1)) return refused('The seed is not a whole number below 2^32');
  if (parseDrives(drives) === undefined) return refused('The drives are not described');
  return undefined;
}

/** The guest-physical address of an aligned word of 8 bytes. */
function isWordOf(ramBytes: number, gpa: unknown): boolean {
  return isWholeIn(gpa, RAM_BASE, RAM_BASE + ramBytes - 8) && gpa % 8 === 0;
}

function refuseDrives(
  wanted: readonly DriveConfig[],
  here: readonly DriveConfig[],
): MachineRefusal | undefined {
  if (wanted.length !== here.length) {
    return refused(
      `The guest has ${wanted.length} drives, here are ${here.length}: start this side with the same --drive options`,
    );
  }
  for (const [index, drive] of wanted.entries()) {
    const [there, ours] = [drive, here[index]].map((each) => JSON.stringify(each));
    if (there !== ours)
      return refused(`Drive ${index} of the guest is ${there}, here it is ${ours}`);
  }
  return undefined;
}

function parseDrives(text: unknown): readonly DriveConfig[] | undefined {
  if (typeof text !== 'string' || text.length > DRIVES_TEXT_MAX) return undefined;
  try {
    const drives: unknown = JSON.parse(text);
    const isFine = Array.isArray(drives) && drives.length <= DRIVE_COUNT_MAX;
    return isFine && drives.every(isDrive) ? drives.map(driveConfig) : undefined;
  } catch {
    return undefined;
  }
}

/** In one order of its keys, so that equal ones have equal texts. */
function driveConfig({ capacityBytes, isReadOnly, serial }: Omit<DriveConfig, 'kind'>) {
  return { kind: 'blk', capacityBytes, isReadOnly, serial } as const;
}

function isDrive(value: unknown): value is DriveConfig {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, capacityBytes, isReadOnly, serial } = value as Partial<DriveConfig>;
  return (
    kind === 'blk' &&
    isWholeIn(capacityBytes, SECTOR_BYTES, Number.MAX_SAFE_INTEGER) &&
    capacityBytes % SECTOR_BYTES === 0 &&
    typeof isReadOnly === 'boolean' &&
    typeof serial === 'string' &&
    /^[\x20-\x7e]{0,20}$/.test(serial)
  );
}

function refused(message: string): MachineRefusal {
  return { code: 'E_HANDSHAKE_MACHINE', message };
}

/** Looks at what is behind a drive. Throws E_FILE or E_CONFIG_INVALID. */
export function driveShape(spec: DriveSpec): DriveConfig {
  const drive = FileDrive.open(spec, () => {});
  const { capacityBytes, isReadOnly } = drive;
  drive.close();
  return driveConfig({ capacityBytes, isReadOnly, serial: spec.serial });
}
