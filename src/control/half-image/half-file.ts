import { open } from 'node:fs/promises';
import { fileError } from '../../channel/index.ts';
import { halfImageError } from './half-image-error.ts';

/** What is used of a FileHandle; tests put a full disk in its place. */
export interface HalfFile {
  read(
    target: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }>;
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }>;
  stat(): Promise<{ readonly size: number }>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the file at `path`: a new one to be written, or one to read. */
export type OpenHalfFile = (path: string, flags: 'wx' | 'r') => Promise<HalfFile>;

/**
 * RAM of a guest is nobody else's to read, and what lies there already is not ours to overwrite.
 */
export const openHalfFile: OpenHalfFile = (path, flags) => open(path, flags, 0o600);

/** Writes all of `bytes`. Rejects with what the platform says. */
export async function writeAt(file: HalfFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    const rest = bytes.length - offset;
    const { bytesWritten } = await file.write(bytes, offset, rest, position + offset);
    offset += bytesWritten;
  }
}

/** Fills `target`. Rejects with E_FILE, or E_HALF_IMAGE when the file ends before. */
export async function readAt(
  file: HalfFile,
  path: string,
  target: Uint8Array,
  position: number,
): Promise<void> {
  for (let offset = 0; offset < target.length; ) {
    const reading = file.read(target, offset, target.length - offset, position + offset);
    const { bytesRead } = await reading.catch((thrown: unknown) => {
      throw fileError(path, 'read', thrown);
    });
    if (bytesRead === 0) throw halfImageError('Half image is not complete', { path });
    offset += bytesRead;
  }
}
