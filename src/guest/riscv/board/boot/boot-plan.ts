import { formatBytes, PAGE_BYTES } from '../../../../base/index.ts';
import { RAM_BASE } from '../address-map.ts';
import type { BoardConfig } from '../board-config.ts';
import { deviceTree } from './device-tree.ts';
import { isElf, readElf } from './elf-image.ts';
import { foreignImageError } from './foreign-image.ts';
import { imageError } from './image-error.ts';
import { isLinuxImage, readLinuxImage } from './linux-image.ts';

/** A file that was read. */
export interface NamedFile {
  /** As the user wrote it: errors name it. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

export interface BootFiles {
  /** A flat Image of Linux, or a bare-metal executable. */
  readonly kernel: NamedFile;
  readonly initrd?: NamedFile;
  readonly bootArguments: string;
  readonly randomSeed: Uint8Array;
}

/** What to put where in a RAM of zeroes, and how hart 0 begins. */
export interface BootPlan {
  readonly pieces: readonly { readonly gpa: number; readonly bytes: Uint8Array }[];
  readonly pc: number;
  /** a0: the number of the hart. */
  readonly hart: number;
  /** a1: where the device tree is. */
  readonly deviceTreeGpa: number;
  /** Linux begins in supervisor mode above the board's SBI; bare metal in machine mode. */
  readonly mode: 'supervisor' | 'machine';
  readonly hasSbi: boolean;
  /** Where a test program and its host meet. */
  readonly symbols: { readonly tohost?: number; readonly fromhost?: number };
}

/**
 * Kernel where it wants to be, device tree at the end of RAM, initrd below it: as far from the
 * kernel as can be, which takes the RAM behind itself while it boots. All of RAM is below 4 GiB.
 * Throws E_GUEST_IMAGE.
 */
export function planBoot(config: BoardConfig, files: BootFiles): BootPlan {
  const { kernel, initrd } = files;
  const placed = placeKernel(config, kernel);
  const ramEnd = RAM_BASE + config.ramBytes;
  // Its length does not depend on where the initrd will be.
  const treeBytes = makeTree(config, files, RAM_BASE).length;
  const treeGpa = pageBelow(ramEnd - treeBytes);
  const initrdGpa = pageBelow(treeGpa - (initrd?.bytes.length ?? 0));
  if (treeGpa < placed.end) {
    throw tooSmall(config, kernel.file, placed.end + treeBytes - RAM_BASE);
  }
  if (initrd !== undefined) checkInitrd(config, initrd, initrdGpa - placed.end);
  const tree = makeTree(config, files, initrdGpa);
  return {
    ...placed.start,
    pieces: [
      ...placed.pieces,
      ...(initrd === undefined ? [] : [{ gpa: initrdGpa, bytes: initrd.bytes }]),
      { gpa: treeGpa, bytes: tree },
    ],
    hart: 0,
    deviceTreeGpa: treeGpa,
  };
}

interface PlacedKernel {
  readonly pieces: BootPlan['pieces'];
  readonly end: number;
  readonly start: Pick<BootPlan, 'pc' | 'mode' | 'hasSbi' | 'symbols'>;
}

function placeKernel({ ramBytes }: BoardConfig, kernel: NamedFile): PlacedKernel {
  const { file, bytes } = kernel;
  if (isElf(bytes)) {
    const elf = readElf(file, bytes, ramBytes, ['tohost', 'fromhost']);
    const symbols = Object.fromEntries(elf.symbols);
    const start = { pc: elf.entry, mode: 'machine', hasSbi: false, symbols } as const;
    return { pieces: elf.segments, end: elf.end, start };
  }
  if (!isLinuxImage(bytes)) throw foreignImageError(file, bytes);
  const image = readLinuxImage(file, bytes);
  const end = image.gpa + image.bytes;
  if (end > RAM_BASE + ramBytes) throw tooSmall({ ramBytes }, file, end - RAM_BASE);
  const start = { pc: image.gpa, mode: 'supervisor', hasSbi: true, symbols: {} } as const;
  return { pieces: [{ gpa: image.gpa, bytes }], end, start };
}

function checkInitrd({ ramBytes }: { ramBytes: number }, initrd: NamedFile, roomBytes: number) {
  const { file, bytes } = initrd;
  if (bytes.length === 0)
    throw imageError(file, 'is empty', 'Give an initrd with content, or none');
  if (roomBytes >= 0) return;
  const ram = formatBytes(ramBytes);
  const size = formatBytes(bytes.length);
  const missing = formatBytes(-roomBytes);
  throw imageError(
    file,
    `(${size}) does not fit beside the kernel into ${ram} of RAM`,
    `Give the guest ${missing} more RAM, and some to work with, or make the initrd smaller`,
  );
}

function tooSmall({ ramBytes }: { ramBytes: number }, file: string, needed: number) {
  const [ram, need] = [formatBytes(ramBytes), formatBytes(needed)];
  return imageError(
    file,
    `does not fit into ${ram} of RAM`,
    `Give the guest more RAM: ${need} only for the kernel, 128M to work`,
    { ramBytes, neededBytes: needed },
  );
}

function makeTree(config: BoardConfig, files: BootFiles, initrdGpa: number): Uint8Array {
  const { initrd, bootArguments, randomSeed } = files;
  const place = initrd && { initrd: { gpa: initrdGpa, bytes: initrd.bytes.length } };
  return deviceTree(config, { bootArguments, randomSeed, ...place });
}

function pageBelow(gpa: number): number {
  return Math.floor(gpa / PAGE_BYTES) * PAGE_BYTES;
}
