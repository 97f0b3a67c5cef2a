import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../base/index.ts';
import { stateDirectoryError } from './state-directory-error.ts';
import { syncDirectory } from './sync-directory.ts';

/** By what the destination of a hand-over knows its source. With the secret in it. */
export interface HandOverNote {
  readonly uuid: string;
  /** Where the destination was. */
  readonly uri: string;
  readonly migrationId: string;
  /** `migrationId` is its hash. */
  readonly secret: string;
  /** The epoch that was handed over. */
  readonly epoch: number;
  /** The guest was taken back, and runs here in that epoch, which the destination has to learn. */
  readonly claimedEpoch?: number;
}

const UUID = /^[0-9a-f-]{1,64}$/i;

/**
 * The last hand-over of each guest, `ownership/UUID.hand-over`, for this user only: so that also a
 * later process can tell the destination that the guest was taken back. Nothing of it decides who
 * runs the guest.
 */
export class HandOverNotes {
  private readonly directory: string;

  constructor(stateDirectory: string) {
    this.directory = join(stateDirectory, 'ownership');
  }

  /** Undefined where there is none, or none that can be read. */
  read(uuid: string): HandOverNote | undefined {
    try {
      return noteOf(JSON.parse(readFileSync(this.pathOf(uuid), 'utf8')));
    } catch {
      return undefined;
    }
  }

  /** Durable when it returns. Throws E_STATE_DIRECTORY. */
  write(note: HandOverNote): void {
    const path = this.pathOf(note.uuid);
    const unfinished = `${path}.new`;
    try {
      // What a process before this one has left must not lend it its mode.
      rmSync(unfinished, { force: true });
      const descriptor = openSync(unfinished, 'wx', 0o600);
      try {
        // Goes on where one write took only a part.
        writeFileSync(descriptor, JSON.stringify(note));
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(unfinished, path);
      syncDirectory(this.directory);
    } catch (thrown) {
      throw stateDirectoryError(path, 'write', thrown);
    }
  }

  /** Throws E_STATE_DIRECTORY. */
  remove(uuid: string): void {
    const path = this.pathOf(uuid);
    try {
      rmSync(path, { force: true });
    } catch (thrown) {
      throw stateDirectoryError(path, 'remove', thrown);
    }
  }

  private pathOf(uuid: string): string {
    assert(UUID.test(uuid), 'The uuid of a guest has hexadecimal digits and dashes only');
    return join(this.directory, `${uuid.toLowerCase()}.hand-over`);
  }
}

function noteOf(value: unknown): HandOverNote | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { uuid, uri, migrationId, secret, epoch, claimedEpoch } = value as Record<string, unknown>;
  if (typeof uuid !== 'string' || typeof uri !== 'string') return undefined;
  if (typeof migrationId !== 'string' || typeof secret !== 'string') return undefined;
  if (typeof epoch !== 'number') return undefined;
  const note = { uuid, uri, migrationId, secret, epoch };
  return typeof claimedEpoch === 'number' ? { ...note, claimedEpoch } : note;
}
