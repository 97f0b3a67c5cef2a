import { crc32c, SternaError } from '../../../../base/index.ts';
import type { MachineStateSection } from '../../../../guestmem/index.ts';

/**
 * The sections of a board. Each ends with the CRC32C of what is before it:
 *
 *   board-config   the lines of `boardLines`, UTF-8, with a newline after each
 *   board          event · its detail · pending queues · random, 4 words
 *   board-uart     its region of the block, then the input that waits
 *   board-plic     its region
 *   board-rtc      its region
 *   board-virtio   the region of each slot that has a device, in order
 */
export const SECTION_NAMES = [
  'board-config',
  'board',
  'board-uart',
  'board-plic',
  'board-rtc',
  'board-virtio',
] as const;
export type SectionName = (typeof SECTION_NAMES)[number];

/** Of all of them; it changes with the meaning of any byte. */
export const SECTION_VERSION = 1;
const CRC_BYTES = 4;

export function sealSection(name: SectionName, content: Uint8Array): MachineStateSection {
  const bytes = new Uint8Array(content.length + CRC_BYTES);
  bytes.set(content);
  new DataView(bytes.buffer).setUint32(content.length, crc32c(content), true);
  return { name, version: SECTION_VERSION, bytes };
}

/** The contents of all sections of a board, as copies. Throws E_MACHINE_STATE. */
export function openSections(
  sections: readonly MachineStateSection[],
): ReadonlyMap<SectionName, Uint8Array> {
  const contents = new Map<SectionName, Uint8Array>();
  for (const name of SECTION_NAMES) {
    const found = sections.filter((section) => section.name === name);
    const [section] = found;
    if (section === undefined) throw stateError(`Section ${name} is missing`);
    if (found.length > 1) throw stateError(`Section ${name} comes twice`);
    if (section.version !== SECTION_VERSION) {
      throw stateError(`Section ${name} has version ${section.version}, not ${SECTION_VERSION}`);
    }
    contents.set(name, openSection(name, section.bytes));
  }
  return contents;
}

function openSection(name: SectionName, bytes: Uint8Array): Uint8Array {
  if (bytes.length < CRC_BYTES) throw stateError(`Section ${name} is cut short`);
  const end = bytes.length - CRC_BYTES;
  // A copy: out of reach of whoever sent it.
  const content = bytes.slice(0, end);
  const sum = new DataView(bytes.buffer, bytes.byteOffset + end, CRC_BYTES).getUint32(0, true);
  if (crc32c(content) !== sum)
    throw stateError(`Section ${name} is damaged: its checksum is wrong`);
  return content;
}

export function stateError(message: string): SternaError {
  return new SternaError('E_MACHINE_STATE', message);
}
