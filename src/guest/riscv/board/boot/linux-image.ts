import { RAM_BASE } from '../address-map.ts';
import { imageError } from './image-error.ts';

const HEADER_BYTES = 64;
const TEXT_OFFSET = 8;
const IMAGE_SIZE = 16;
const FLAGS = 24;
const PE_OFFSET = 60;
/** "RISCV" in 64 bits, and "RSC" with 5 in 32: the second one is what counts. */
const OLD_MAGIC = 0x56_4353_4952n;
const MAGIC = 0x0543_5352;
const BIG_ENDIAN = 1n;
const TEXT_ALIGNMENT = 2 ** 21;

/** A flat kernel, ready to be copied. */
export interface LinuxImage {
  readonly gpa: number;
  /** What it needs from `gpa` on, its zeroed data included. */
  readonly bytes: number;
}

/** True when the file claims to be a flat RISC-V Image. */
export function isLinuxImage(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES) return false;
  const view = viewOf(bytes);
  return view.getUint32(56, true) === MAGIC || view.getBigUint64(48, true) === OLD_MAGIC;
}

/** Reads the header (Linux, Documentation/arch/riscv/boot-image-header.rst). */
export function readLinuxImage(file: string, bytes: Uint8Array): LinuxImage {
  const view = viewOf(bytes);
  const textOffset = Number(view.getBigUint64(TEXT_OFFSET, true));
  const imageBytes = Number(view.getBigUint64(IMAGE_SIZE, true));
  const damaged = (what: string) =>
    imageError(file, what, 'Copy the file again: its header is damaged', {
      textOffset,
      imageBytes,
    });
  if ((view.getBigUint64(FLAGS, true) & BIG_ENDIAN) !== 0n) {
    throw imageError(file, 'is a big-endian kernel', 'Use a little-endian kernel for riscv64');
  }
  if (textOffset % TEXT_ALIGNMENT !== 0 || textOffset > 2 ** 32) {
    throw damaged(`wants to lie 0x${textOffset.toString(16)} bytes into RAM`);
  }
  if (imageBytes > 2 ** 32) throw damaged(`claims to need ${imageBytes} bytes of RAM`);
  const needed = storedBytes(view);
  if (needed > bytes.length) {
    throw imageError(file, 'is cut short', 'Copy or download the kernel again', {
      bytes: bytes.length,
      needed,
    });
  }
  // The size is that with its zeroed data; old kernels say none.
  return { gpa: RAM_BASE + textOffset, bytes: Math.max(imageBytes, bytes.length) };
}

/** How long the file must be, by the section table of its EFI header; 64 without one. */
function storedBytes(view: DataView): number {
  const pe = view.getUint32(PE_OFFSET, true);
  const sectionCount = pe + 8 <= view.byteLength ? view.getUint16(pe + 6, true) : 0;
  const isPe = view.getUint16(0, true) === 0x5a4d && pe >= HEADER_BYTES;
  if (!isPe) return HEADER_BYTES;
  // The table must be there before it can be read: a shorter file is cut, too.
  if (pe + 24 > view.byteLength) return pe + 24;
  if (view.getUint32(pe, true) !== 0x4550) return HEADER_BYTES;
  const table = pe + 24 + view.getUint16(pe + 20, true);
  let end = table + sectionCount * 40;
  if (end > view.byteLength) return end;
  for (let index = 0; index < sectionCount; index += 1) {
    const section = table + index * 40;
    end = Math.max(end, view.getUint32(section + 16, true) + view.getUint32(section + 20, true));
  }
  return end;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
