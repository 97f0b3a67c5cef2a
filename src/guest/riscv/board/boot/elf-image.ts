import { formatBytes } from '../../../../base/index.ts';
import { isInRam, RAM_BASE } from '../address-map.ts';
import { readElfSymbols } from './elf-symbols.ts';
import { imageError } from './image-error.ts';

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const LOAD = 1;
const EXECUTABLE = 2;
const MACHINE_RISCV = 243;
const MACHINES: Readonly<Record<number, string>> = {
  3: 'x86 (32 bits)',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC (64 bits)',
  22: 's390x',
  40: 'ARM (32 bits)',
  62: 'x86-64',
  183: 'arm64',
  258: 'LoongArch',
};

export interface ElfSegment {
  readonly gpa: number;
  /** Without the zeroes behind it: RAM is zero already. */
  readonly bytes: Uint8Array;
}

export interface ElfImage {
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
  /** The end of what it occupies, zeroed data included. */
  readonly end: number;
  /** Addresses of the symbols that were asked for, and found. */
  readonly symbols: ReadonlyMap<string, number>;
}

export function isElf(bytes: Uint8Array): boolean {
  return [0x7f, 0x45, 0x4c, 0x46].every((value, index) => bytes[index] === value);
}

/** Reads a static executable for RV64 that lies in RAM. Throws E_GUEST_IMAGE. */
export function readElf(
  file: string,
  bytes: Uint8Array,
  ramBytes: number,
  symbolNames: readonly string[] = [],
): ElfImage {
  checkIdentity(file, bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entry = Number(view.getBigUint64(24, true));
  const table = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  if (view.getUint16(54, true) !== PROGRAM_HEADER_BYTES && count > 0) throw damaged(file);
  if (table + count * PROGRAM_HEADER_BYTES > bytes.length) throw cutShort(file);
  const segments: ElfSegment[] = [];
  let end = RAM_BASE;
  for (let index = 0; index < count; index += 1) {
    const at = table + index * PROGRAM_HEADER_BYTES;
    if (view.getUint32(at, true) !== LOAD) continue;
    const { segment, memoryEnd } = readSegment(file, bytes, view, at, ramBytes);
    segments.push(segment);
    end = Math.max(end, memoryEnd);
  }
  if (segments.length === 0) throw imageError(file, 'has nothing to load', LINK_REMEDY);
  if (!isInRam(ramBytes, entry, 4)) {
    throw imageError(file, `begins at 0x${entry.toString(16)}, outside of RAM`, LINK_REMEDY);
  }
  return { entry, segments, end, symbols: readElfSymbols(bytes, symbolNames) };
}

const LINK_REMEDY = `Link it to RAM, which begins at 0x${RAM_BASE.toString(16)}`;

function checkIdentity(file: string, bytes: Uint8Array): void {
  const rebuild = 'Build it for RV64, for example with riscv64-unknown-elf-gcc';
  if (bytes.length < 20) throw cutShort(file);
  if (bytes[4] !== 2) throw imageError(file, 'is an ELF file of 32 bits', rebuild);
  if (bytes[5] !== 1) throw imageError(file, 'is a big-endian ELF file', rebuild);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine = view.getUint16(18, true);
  if (machine !== MACHINE_RISCV) {
    const name = MACHINES[machine] ?? `machine ${machine}`;
    throw imageError(file, `is an ELF file for ${name}`, rebuild);
  }
  if (bytes.length < HEADER_BYTES) throw cutShort(file);
  if (view.getUint16(16, true) !== EXECUTABLE) {
    throw imageError(
      file,
      'is an ELF file that is no executable',
      'Link it statically, without -pie and -r',
    );
  }
}

function readSegment(
  file: string,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  ramBytes: number,
): { readonly segment: ElfSegment; readonly memoryEnd: number } {
  const number = (offset: number) => Number(view.getBigUint64(at + offset, true));
  const [offset, gpa, fileBytes, memoryBytes] = [8, 24, 32, 40].map(number) as [
    number,
    number,
    number,
    number,
  ];
  if (memoryBytes < fileBytes) throw damaged(file);
  if (offset + fileBytes > bytes.length) throw cutShort(file);
  if (!isInRam(ramBytes, gpa, memoryBytes)) {
    const range = `0x${gpa.toString(16)} to 0x${(gpa + memoryBytes).toString(16)}`;
    const size = formatBytes(ramBytes);
    throw imageError(
      file,
      `has a segment at ${range}, outside of the ${size} of RAM`,
      `${LINK_REMEDY}, or give the guest more of it`,
    );
  }
  const content = bytes.subarray(offset, offset + fileBytes);
  return { segment: { gpa, bytes: content }, memoryEnd: gpa + memoryBytes };
}

function cutShort(file: string) {
  return imageError(file, 'is an ELF file that is cut short', 'Copy or build it again');
}

function damaged(file: string) {
  return imageError(file, 'is an ELF file with a damaged header', 'Copy or build it again');
}
