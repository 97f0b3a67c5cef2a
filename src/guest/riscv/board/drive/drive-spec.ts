import { SternaError } from '../../../../base/index.ts';
import { parseWords } from './option-words.ts';

/** A disk of the guest, as the command line has it. */
export interface DriveSpec {
  readonly file: string;
  readonly format: 'raw';
  readonly isReadOnly: boolean;
  /** What the guest reads as the disk's serial number; empty without one. */
  readonly serial: string;
}

const KEYS = ['file', 'format', 'readonly', 'serial', 'if'];
const SERIAL_CHARACTERS_MAX = 20;

/**
 * QEMU's words: `file=PATH,format=raw[,readonly=on|off][,serial=TEXT][,if=virtio]`. A comma in a
 * value is written twice. Throws E_CONFIG_INVALID.
 */
export function parseDriveSpec(text: string): DriveSpec {
  const words = parseWords('drive', text, KEYS);
  const file = words.get('file');
  if (file === undefined || file === '') {
    throw driveError(text, 'A drive needs a file', 'file=PATH,format=raw');
  }
  const format = words.get('format');
  // A guest that can write its disk could make it look like another format: none is guessed.
  if (format === undefined) throw driveError(text, 'A drive needs its format', 'format=raw');
  if (format !== 'raw') {
    throw driveError(text, `Format ${JSON.stringify(format)} of a drive is not supported`, 'raw');
  }
  const bus = words.get('if') ?? 'virtio';
  if (bus !== 'virtio') {
    throw driveError(text, `No drive has the interface ${JSON.stringify(bus)}`, 'virtio');
  }
  const serial = words.get('serial') ?? '';
  if (serial.length > SERIAL_CHARACTERS_MAX || !/^[\x20-\x7e]*$/.test(serial)) {
    throw driveError(text, 'The serial of a drive is not usable', 'up to 20 ASCII characters');
  }
  return { file, format, isReadOnly: parseSwitch(text, words.get('readonly') ?? 'off'), serial };
}

function parseSwitch(text: string, value: string): boolean {
  if (value === 'on') return true;
  if (value === 'off') return false;
  throw driveError(text, `readonly is ${JSON.stringify(value)} in a drive`, 'on or off');
}

function driveError(text: string, message: string, expected: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, { detail: { drive: text, expected } });
}
