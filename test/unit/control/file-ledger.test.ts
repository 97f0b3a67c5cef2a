import {
  fdatasync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OwnershipRecord } from '../../../src/base/index.ts';
import { FileLedger, type LedgerDisk } from '../../../src/control/index.ts';

/** A record survives every crash and every failure of the disk, or the one before it does. */

const UUID = '0f0e0d0c-0000-4000-8000-00000000000a';
const RECORD_BYTES = 512;

const realDisk: LedgerDisk = {
  write: (descriptor, bytes, position) => writeSync(descriptor, bytes, 0, bytes.length, position),
  datasync: promisify(fdatasync),
};

function record(epoch: number, state: OwnershipRecord['state'] = 'owner'): OwnershipRecord {
  return { uuid: UUID, epoch, state, migrationId: `m-${epoch}`, peer: 'tcp:127.0.0.1:4444' };
}

describe('FileLedger', () => {
  let directory: string;
  const logPath = () => join(directory, 'ownership', `${UUID}.log`);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sterna-ledger-'));
    mkdirSync(join(directory, 'ownership'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('read() returns undefined when nothing was recorded', () => {
    expect(new FileLedger(directory).read(UUID)).toBeUndefined();
  });

  it('read() returns the newest record when several were written, also in another instance', async () => {
    const ledger = new FileLedger(directory);
    for (let epoch = 1; epoch <= 200; epoch += 1) await ledger.write(record(epoch));
    expect(ledger.read(UUID)).toEqual(record(200));
    expect(new FileLedger(directory).read(UUID)).toEqual(record(200));
    expect(statSync(logPath()).mode & 0o777).toBe(0o600);
  });

  it('write() follows what another instance wrote when both are open', async () => {
    const main = new FileLedger(directory);
    const worker = new FileLedger(directory);
    await main.write(record(1));
    await worker.write(record(2, 'granting'));
    await main.write(record(3));
    await worker.write(record(4, 'granted'));
    expect(main.read(UUID)).toEqual(record(4, 'granted'));
  });

  it('write() keeps the order of calls when they are not awaited', async () => {
    const ledger = new FileLedger(directory);
    await Promise.all([1, 2, 3].map((epoch) => ledger.write(record(epoch))));
    expect(ledger.read(UUID)?.epoch).toBe(3);
  });

  it('read() ignores a torn last record at every length, and write() takes its place', async () => {
    const whole = new FileLedger(directory);
    await whole.write(record(1));
    const before = readFileSync(logPath());
    await whole.write(record(2, 'granting'));
    const after = readFileSync(logPath());
    for (const tornBytes of [1, 8, 100, 511]) {
      // Behind what was written lies what the sector held before.
      const torn = Buffer.from(before).fill(0xa5, RECORD_BYTES, 2 * RECORD_BYTES);
      after.copy(torn, RECORD_BYTES, RECORD_BYTES, RECORD_BYTES + tornBytes);
      writeFileSync(logPath(), torn);
      expect(new FileLedger(directory).read(UUID)).toEqual(record(1));
      const next = new FileLedger(directory);
      await next.write(record(9));
      expect(next.read(UUID)).toEqual(record(9));
    }
  });

  it('read() finds the newest record when one in the middle was damaged, and write() adds to it', async () => {
    const ledger = new FileLedger(directory);
    for (const epoch of [1, 2, 3]) await ledger.write(record(epoch));
    const bytes = readFileSync(logPath());
    bytes[RECORD_BYTES + 30] = (bytes[RECORD_BYTES + 30] ?? 0) ^ 1;
    writeFileSync(logPath(), bytes);
    const reopened = new FileLedger(directory);
    expect(reopened.read(UUID)).toEqual(record(3));
    await reopened.write(record(4));
    expect(new FileLedger(directory).read(UUID)).toEqual(record(4));
  });

  it('write() rejects with the path and the cause when the disk is full, and the old record stands', async () => {
    let full = false;
    const ledger = new FileLedger(directory, {
      ...realDisk,
      write: (...args) => {
        if (full)
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        return realDisk.write(...args);
      },
    });
    await ledger.write(record(1));
    full = true;
    await expect(ledger.write(record(2, 'granting'))).rejects.toMatchObject({
      code: 'E_STATE_DIRECTORY',
      detail: { path: logPath(), systemCode: 'ENOSPC' },
    });
    expect(ledger.read(UUID)).toEqual(record(1));
    full = false;
    await ledger.write(record(3));
    expect(ledger.read(UUID)).toEqual(record(3));
  });

  it('write() erases the record when it could not be made durable', async () => {
    let broken = false;
    const ledger = new FileLedger(directory, {
      ...realDisk,
      datasync: (descriptor) =>
        broken ? Promise.reject(new Error('EIO: i/o error')) : realDisk.datasync(descriptor),
    });
    await ledger.write(record(1));
    broken = true;
    await expect(ledger.write(record(2, 'granting'))).rejects.toMatchObject({
      code: 'E_STATE_DIRECTORY',
    });
    expect(ledger.read(UUID)).toEqual(record(1));
  });

  it('write() goes on when the disk fills up in the middle of a migration', async () => {
    let full = false;
    const ledger = new FileLedger(directory, {
      ...realDisk,
      write: (descriptor, bytes, position) => {
        const grows = position + bytes.length > statSync(logPath()).size;
        if (full && grows) throw new Error('ENOSPC: no space left on device');
        return realDisk.write(descriptor, bytes, position);
      },
    });
    await ledger.write(record(1));
    full = true;
    for (const epoch of [2, 3, 4]) await ledger.write(record(epoch));
    expect(ledger.read(UUID)).toEqual(record(4));
  });

  it('write() rejects when the directory is not there', async () => {
    rmSync(join(directory, 'ownership'), { recursive: true });
    await expect(new FileLedger(directory).write(record(1))).rejects.toMatchObject({
      code: 'E_STATE_DIRECTORY',
      detail: { systemCode: 'ENOENT' },
    });
  });

  it('write() cuts the name of the peer when it would not fit', async () => {
    const ledger = new FileLedger(directory);
    await ledger.write({ ...record(1), peer: `file:/${'ä"\\\n'.repeat(1000)}` });
    expect(ledger.read(UUID)?.epoch).toBe(1);
    expect(ledger.read(UUID)?.peer?.startsWith('file:/ä')).toBe(true);
  });
});
