import {
  closeSync,
  fdatasync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { assert, type OwnershipLedger, type OwnershipRecord } from '../../base/index.ts';
import {
  decodeOwnershipRecord,
  encodeOwnershipRecord,
  OWNERSHIP_RECORD_BYTES,
  type SequencedRecord,
} from './ownership-record-codec.ts';
import { stateDirectoryError } from './state-directory-error.ts';
import { syncDirectory } from './sync-directory.ts';

/** What is done to a log; tests put a disk that is full or fails in its place. */
export interface LedgerDisk {
  write(descriptor: number, bytes: Uint8Array, positionBytes: number): number;
  datasync(descriptor: number): Promise<void>;
}

const systemDisk: LedgerDisk = {
  write: (descriptor, bytes, positionBytes) =>
    writeSync(descriptor, bytes, 0, bytes.length, positionBytes),
  datasync: promisify(fdatasync),
};

/**
 * A log grows by this much at a time, with zeros. A record then lands in blocks that the file
 * already has, and making it durable needs no change of the file's metadata: that is most of the
 * time of an fdatasync, and it is downtime.
 */
const EXTENT_BYTES = 32 * 2 ** 10;
/**
 * Space is asked for while there are still this many places, so that a disk that fills up in the
 * middle of a migration does not get in the way of its records, least of all of the one that takes
 * the guest back.
 */
const RESERVE_BYTES = 8 * OWNERSHIP_RECORD_BYTES;
const UUID = /^[0-9a-f-]{1,64}$/i;

interface OpenLog {
  readonly descriptor: number;
  fileBytes: number;
  /** Where the next record goes, and its number. */
  positionBytes: number;
  sequence: number;
}

interface PlacedRecord extends SequencedRecord {
  readonly positionBytes: number;
}

/**
 * Ownership records on disk: for each guest a log, `ownership/UUID.log`, to which fixed-size
 * records are appended. The newest intact record counts; a torn one at the end was never
 * acknowledged, and is written over.
 *
 * The migration worker and the main thread each have one over the same files. They never write at
 * the same time, since the main thread writes only while no migration runs; what the other wrote is
 * seen before each write.
 */
export class FileLedger implements OwnershipLedger {
  private readonly directory: string;
  private readonly disk: LedgerDisk;
  private readonly logs = new Map<string, OpenLog>();
  private tail: Promise<void> = Promise.resolve();

  constructor(stateDirectory: string, disk: LedgerDisk = systemDisk) {
    this.directory = join(stateDirectory, 'ownership');
    this.disk = disk;
  }

  /** Throws E_STATE_DIRECTORY when there is a log that cannot be read. */
  read(uuid: string): OwnershipRecord | undefined {
    return newest(readLog(this.pathOf(uuid)))?.record;
  }

  /** The guests of which there are records. Throws E_STATE_DIRECTORY. */
  uuids(): readonly string[] {
    try {
      const names = readdirSync(this.directory).filter((name) => name.endsWith('.log'));
      return names.map((name) => name.slice(0, -'.log'.length)).filter((name) => UUID.test(name));
    } catch (thrown) {
      throw stateDirectoryError(this.directory, 'read', thrown);
    }
  }

  write(record: OwnershipRecord): Promise<void> {
    const written = this.tail.then(() => this.append(record));
    this.tail = written.catch(() => {});
    return written;
  }

  /** Closes the descriptors. Nothing is lost: what was acknowledged is on disk. */
  close(): void {
    for (const log of this.logs.values()) closeSync(log.descriptor);
    this.logs.clear();
  }

  private async append(record: OwnershipRecord): Promise<void> {
    const path = this.pathOf(record.uuid);
    try {
      const log = this.logs.get(path) ?? this.open(path);
      skipWritten(log);
      this.reserve(log);
      await this.place(log, encodeOwnershipRecord({ sequence: log.sequence, record }));
    } catch (thrown) {
      throw stateDirectoryError(path, 'write', thrown);
    }
  }

  private async place(log: OpenLog, bytes: Uint8Array): Promise<void> {
    try {
      this.writeAll(log, bytes, log.positionBytes);
      await this.disk.datasync(log.descriptor);
    } catch (thrown) {
      this.erase(log);
      throw thrown;
    }
    log.positionBytes += OWNERSHIP_RECORD_BYTES;
    log.sequence += 1;
  }

  /**
   * A record that was refused must not be read as if it counted: the one before it still stands.
   */
  private erase(log: OpenLog): void {
    try {
      this.writeAll(log, Buffer.alloc(OWNERSHIP_RECORD_BYTES), log.positionBytes);
    } catch {
      // Then it stays, which is the careful side: what it announces has not happened.
    }
  }

  private open(path: string): OpenLog {
    const bytes = readLog(path);
    // Not O_APPEND: it would ignore the position.
    const descriptor = openSync(path, bytes.length > 0 ? 'r+' : 'w+', 0o600);
    const last = newest(bytes);
    const log: OpenLog = {
      descriptor,
      fileBytes: fstatSync(descriptor).size,
      positionBytes: last === undefined ? 0 : last.positionBytes + OWNERSHIP_RECORD_BYTES,
      sequence: last === undefined ? 1 : last.sequence + 1,
    };
    this.logs.set(path, log);
    if (bytes.length === 0) syncDirectory(dirname(path));
    return log;
  }

  private reserve(log: OpenLog): void {
    const freeBytes = log.fileBytes - log.positionBytes;
    if (freeBytes >= RESERVE_BYTES) return;
    try {
      // Never over a record: places from here on are free.
      this.writeAll(log, Buffer.alloc(EXTENT_BYTES), log.positionBytes);
      log.fileBytes = log.positionBytes + EXTENT_BYTES;
    } catch (thrown) {
      if (freeBytes < OWNERSHIP_RECORD_BYTES) throw thrown;
    }
  }

  private writeAll(log: OpenLog, bytes: Uint8Array, positionBytes: number): void {
    let offset = 0;
    while (offset < bytes.length) {
      offset += this.disk.write(log.descriptor, bytes.subarray(offset), positionBytes + offset);
    }
  }

  private pathOf(uuid: string): string {
    // It becomes a file name, and HELLO has checked it.
    assert(UUID.test(uuid), 'The uuid of a guest has hexadecimal digits and dashes only');
    return join(this.directory, `${uuid.toLowerCase()}.log`);
  }
}

/** Moves on past records that are there, written by this thread or the other one. */
function skipWritten(log: OpenLog): void {
  const bytes = Buffer.alloc(OWNERSHIP_RECORD_BYTES);
  for (;;) {
    const read = readSync(log.descriptor, bytes, 0, bytes.length, log.positionBytes);
    const found = read === bytes.length ? decodeOwnershipRecord(bytes) : undefined;
    if (found === undefined || found.sequence < log.sequence) return;
    log.sequence = found.sequence + 1;
    log.positionBytes += OWNERSHIP_RECORD_BYTES;
  }
}

/** By its number: a record that was damaged since lies anywhere, and does not end the log. */
function newest(bytes: Buffer): PlacedRecord | undefined {
  let latest: PlacedRecord | undefined;
  for (let start = 0; start < bytes.length; start += OWNERSHIP_RECORD_BYTES) {
    const found = decodeOwnershipRecord(bytes.subarray(start, start + OWNERSHIP_RECORD_BYTES));
    if (found === undefined) continue;
    if (latest === undefined || found.sequence > latest.sequence) {
      latest = { ...found, positionBytes: start };
    }
  }
  return latest;
}

/** Empty when there is no log. */
function readLog(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw stateDirectoryError(path, 'read', thrown);
  }
}
