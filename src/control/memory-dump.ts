import { type FileHandle, open } from 'node:fs/promises';
import { assert, PAGE_BYTES, SternaError } from '../base/index.ts';
import type { GuestMemory } from '../guestmem/index.ts';

const CHUNK_BYTES = 2 ** 20;

/**
 * Writes `sizeBytes` of guest RAM from `startBytes` on to the file at `path`, for this user only.
 * In chunks, so that the control plane answers meanwhile. Rejects with E_CONFIG_INVALID or E_FILE.
 */
export async function saveMemory(
  memory: GuestMemory,
  startBytes: number,
  sizeBytes: number,
  path: string,
): Promise<void> {
  const ramBytes = memory.pageCount * PAGE_BYTES;
  const inside = startBytes >= 0 && sizeBytes >= 0 && startBytes + sizeBytes <= ramBytes;
  if (!inside) {
    const text = `Invalid addr 0x${startBytes.toString(16)}/size ${sizeBytes} specified`;
    throw new SternaError('E_CONFIG_INVALID', text, { detail: { ramBytes } });
  }
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'w', 0o600);
    let position = startBytes;
    while (position < startBytes + sizeBytes) {
      const chunk = ramAt(memory, position, startBytes + sizeBytes - position);
      await writeAll(file, chunk);
      position += chunk.length;
    }
  } catch (thrown) {
    throw fileError(path, thrown);
  } finally {
    await file?.close();
  }
}

/** A copy: the guest may run, and a file should not change between two writes of a piece. */
function ramAt(memory: GuestMemory, gpaBytes: number, maxBytes: number): Buffer {
  const place = memory.locate(gpaBytes);
  assert(place !== undefined, 'The range of a dump lies in RAM');
  const { block, offsetBytes } = place;
  const end = Math.min(block.ram.length, offsetBytes + Math.min(CHUNK_BYTES, maxBytes));
  return Buffer.from(block.ram.subarray(offsetBytes, end));
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await file.write(bytes, offset);
    offset += bytesWritten;
  }
}

function fileError(path: string, thrown: unknown): SternaError {
  if (thrown instanceof SternaError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  return new SternaError('E_FILE', `Cannot write ${path}`, {
    cause,
    detail: { path, cause: cause.message },
  });
}
