import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  openSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { SternaError, toSternaError } from '../../../../base/index.ts';
import type { Drive } from './drive.ts';
import type { DriveSpec } from './drive-spec.ts';

const SECTOR_BYTES = 512;

/** Told when the host fails at a request; the guest gets an I/O error. */
export type DriveFailure = (message: string, cause: unknown) => void;

/** A raw image in a file. Synchronous: the worker that runs the guest waits for the disk. */
export class FileDrive implements Drive {
  readonly capacityBytes: number;
  readonly isReadOnly: boolean;
  private readonly file: string;
  private readonly descriptor: number;
  private readonly onFailure: DriveFailure;
  private buffer = new Uint8Array(0);

  private constructor(
    spec: DriveSpec,
    descriptor: number,
    capacityBytes: number,
    onFailure: DriveFailure,
  ) {
    this.file = spec.file;
    this.isReadOnly = spec.isReadOnly;
    this.descriptor = descriptor;
    this.capacityBytes = capacityBytes;
    this.onFailure = onFailure;
  }

  /** Throws E_FILE or E_CONFIG_INVALID, saying what to do. */
  static open(spec: DriveSpec, onFailure: DriveFailure): FileDrive {
    const descriptor = openImage(spec);
    try {
      const capacityBytes = checkedCapacity(spec, fstatSync(descriptor));
      return new FileDrive(spec, descriptor, capacityBytes, onFailure);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  read(position: number, length: number): Uint8Array | undefined {
    if (this.buffer.length < length) this.buffer = new Uint8Array(length);
    const bytes = this.buffer.subarray(0, length);
    const isDone = this.attempt('read', () => {
      for (let done = 0; done < length; ) {
        const count = readSync(this.descriptor, bytes, done, length - done, position + done);
        if (count === 0) throw new Error('The file is shorter than it was');
        done += count;
      }
    });
    return isDone ? bytes : undefined;
  }

  write(position: number, bytes: Uint8Array): boolean {
    return this.attempt('write', () => {
      for (let done = 0; done < bytes.length; ) {
        const left = bytes.length - done;
        done += writeSync(this.descriptor, bytes, done, left, position + done);
      }
    });
  }

  flush(): boolean {
    return this.attempt('flush', () => {
      if (!this.isReadOnly) fdatasyncSync(this.descriptor);
    });
  }

  close(): void {
    closeSync(this.descriptor);
  }

  private attempt(verb: string, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (cause) {
      this.onFailure(`Drive ${this.file} cannot ${verb}`, cause);
      return false;
    }
  }
}

function openImage(spec: DriveSpec): number {
  const { file, isReadOnly } = spec;
  // Not to wait for a writer when it is a pipe; of no effect on files.
  const flags = constants.O_NONBLOCK | (isReadOnly ? constants.O_RDONLY : constants.O_RDWR);
  try {
    return openSync(file, flags);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const isProtected = code === 'EACCES' || code === 'EROFS' || code === 'EPERM';
    if (!isReadOnly && isProtected && isReadable(file)) {
      throw new SternaError('E_FILE', `Drive ${file} cannot be written here`, {
        cause: error,
        detail: { file, expected: 'a file that can be written, or readonly=on' },
      });
    }
    const what = code === 'ENOENT' ? 'does not exist' : 'cannot be opened';
    throw toSternaError(error, 'E_FILE', `Drive ${file} ${what}`);
  }
}

function isReadable(file: string): boolean {
  try {
    closeSync(openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}

function checkedCapacity({ file }: DriveSpec, stats: Stats): number {
  const complain = (message: string, expected: string) =>
    new SternaError('E_CONFIG_INVALID', `Drive ${file} ${message}`, { detail: { file, expected } });
  if (!stats.isFile()) throw complain('is not a file', 'a raw disk image in a file');
  if (stats.size === 0) throw complain('is empty', 'an image: truncate -s SIZE FILE makes one');
  if (stats.size % SECTOR_BYTES !== 0) {
    const whole = Math.ceil(stats.size / SECTOR_BYTES) * SECTOR_BYTES;
    throw complain(
      `has ${stats.size} bytes, which is not a multiple of ${SECTOR_BYTES}`,
      `a raw disk image: truncate -s ${whole} FILE makes it whole`,
    );
  }
  return stats.size;
}
