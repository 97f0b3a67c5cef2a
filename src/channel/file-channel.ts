import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, SternaError } from '../base/index.ts';
import type { Channel } from './channel.ts';
import { fileError } from './channel-error.ts';
import { FrameChannel } from './frame-channel.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** What is used of a FileHandle; tests put a full disk in its place. */
export interface MigrationFile {
  read(target: Uint8Array, offset: number, length: number): Promise<{ bytesRead: number }>;
  write(bytes: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A channel that writes the stream to `path`. The file appears there when `end` has made it
 * durable, whole or not at all; until then it is `path.partial`. Rejects with E_FILE.
 */
export async function createFileChannel(
  path: string,
  clock: Clock,
  openFile: (path: string) => Promise<MigrationFile> = createExclusive,
): Promise<Channel> {
  const file = await openFile(partialPath(path)).catch((thrown: unknown) => {
    throw fileError(partialPath(path), 'create', thrown);
  });
  return new FrameChannel(
    `file:${path}`,
    clock,
    (events) => new FileWriteTransport(path, file, events),
  );
}

/** A channel that reads the stream in the file `path`. Rejects with E_FILE. */
export async function openFileChannel(path: string, clock: Clock): Promise<Channel> {
  const file = await open(path, 'r').catch((thrown: unknown) => {
    throw fileError(path, 'open', thrown);
  });
  return new FrameChannel(
    `file:${path}`,
    clock,
    (events) => new FileReadTransport(path, file, events),
  );
}

class FileWriteTransport implements Transport {
  readonly duplex = false;
  private readonly path: string;
  private readonly file: MigrationFile;
  private readonly events: TransportEvents;
  /** Everything done to the file, one after the other. Never rejects. */
  private tail: Promise<void> = Promise.resolve();
  /** The first thing that went wrong; nothing is written after it. */
  private failure: SternaError | undefined;
  private complete = false;

  constructor(path: string, file: MigrationFile, events: TransportEvents) {
    this.path = path;
    this.file = file;
    this.events = events;
  }

  startReading(): void {
    // Nothing ever comes back from a file.
  }

  write(bytes: Uint8Array, done: (error?: SternaError) => void): void {
    this.enqueue('write', () => writeAll(this.file, bytes));
    this.tail = this.tail.then(() => done(this.failure));
  }

  async end(): Promise<void> {
    this.enqueue('write', () => this.file.sync());
    this.enqueue('write', () => this.file.close());
    this.enqueue('complete', () => completeFile(this.path));
    await this.tail;
    if (this.failure !== undefined) {
      this.events.failed(this.failure);
      // The partial file is gone when this is known to the caller.
      await this.tail;
      throw this.failure;
    }
    this.complete = true;
    this.events.ended();
  }

  reset(): void {
    if (this.complete) return;
    this.complete = true;
    this.failure ??= new SternaError('E_FILE', `Writing ${this.path} was given up`);
    // Behind what is in flight: a descriptor must not be closed under a write.
    this.tail = this.tail.then(() => removePartial(this.path, this.file));
  }

  private enqueue(doing: string, step: () => Promise<void>): void {
    this.tail = this.tail.then(async () => {
      if (this.failure !== undefined) return;
      try {
        await step();
      } catch (thrown) {
        this.failure ??= fileError(this.path, doing, thrown);
      }
    });
  }
}

class FileReadTransport implements Transport {
  readonly duplex = false;
  private readonly path: string;
  private readonly file: MigrationFile;
  private readonly events: TransportEvents;
  private over = false;
  private reading: Promise<void> = Promise.resolve();

  constructor(path: string, file: MigrationFile, events: TransportEvents) {
    this.path = path;
    this.file = file;
    this.events = events;
  }

  startReading(): void {
    this.reading = this.readAll();
  }

  write(_bytes: Uint8Array, done: (error?: SternaError) => void): void {
    done(new SternaError('E_FILE', `Nothing can be sent to ${this.path}, which is being read`));
  }

  async end(): Promise<void> {
    this.reset();
  }

  reset(): void {
    if (this.over) return;
    this.over = true;
    // Behind a read in flight. A close that fails loses nothing: the file was only read.
    void this.reading.then(() => this.file.close().catch(() => {}));
  }

  private async readAll(): Promise<void> {
    while (!this.over) {
      const byteCount = await this.readOnce();
      if (this.over) return;
      if (byteCount === 0) this.events.ended();
      else this.events.callback(byteCount);
      for (let ready = this.events.ready(); ready !== undefined; ready = this.events.ready()) {
        await ready;
        // A header may have come with the last body.
        this.events.callback(0);
      }
    }
  }

  private async readOnce(): Promise<number> {
    const place = this.events.buffer();
    try {
      return (await this.file.read(place, 0, place.length)).bytesRead;
    } catch (thrown) {
      this.events.failed(fileError(this.path, 'read', thrown));
      return 0;
    }
  }
}

/**
 * A file of guest RAM is nobody else's to read, and what already lies there is not ours to
 * overwrite.
 */
function createExclusive(path: string): Promise<MigrationFile> {
  return open(path, 'wx', 0o600);
}

function partialPath(path: string): string {
  return `${path}.partial`;
}

async function writeAll(file: MigrationFile, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    offset += (await file.write(bytes, offset, bytes.length - offset)).bytesWritten;
  }
}

/**
 * Gives the partial file its final name, durably. When that is not certain the file is taken away
 * again: its last frame gives the guest to whoever loads it, and the source is about to go on. When
 * it cannot be taken away either, rejects with the guest's owner `unknown`.
 */
export async function completeFile(
  path: string,
  sync: (directory: string) => Promise<void> = syncDirectory,
): Promise<void> {
  await rename(partialPath(path), path);
  try {
    await sync(dirname(path));
  } catch (thrown) {
    await unlink(path).catch((reason: unknown) => {
      const error = fileError(path, 'take away', reason);
      error.guestOwner = 'unknown';
      throw error;
    });
    throw thrown;
  }
}

/** A rename is durable only when the directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Best effort: the reason why the file is given up was reported already. */
async function removePartial(path: string, file: MigrationFile): Promise<void> {
  await file.close().catch(() => {});
  await unlink(partialPath(path)).catch(() => {});
}
