import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { completeFile } from '../../../src/channel/file-channel.ts';
import {
  createFileChannel,
  type MigrationFile,
  openFileChannel,
} from '../../../src/channel/index.ts';
import { MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { sharedSlot, slotFrame } from '../../support/channel-compliance.ts';
import { clock, inTemporaryDirectory } from '../../support/channel-harness.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const { PING } = MESSAGE_TYPES;

test('createFileChannel() shows the file under its name only when end() has completed it', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    await writeFile(path, 'an older one');
    const channel = await createFileChannel(path, clock);
    const sink = new RecordingSink();
    channel.start(sink);
    await channel.send(PING, new Uint8Array(8));
    expect(await readFile(path, 'utf8')).toBe('an older one');
    await channel.end();
    expect(await readdir(directory)).toEqual(['guest.sterna']);
    expect((await stat(path)).size).toBe(channel.sentBytes);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(sink.closings).toEqual([undefined]);
    expect([channel.name, channel.duplex]).toEqual([`file:${path}`, false]);
  }));

test('destroy() removes the partial file and leaves the older one', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    await writeFile(path, 'an older one');
    const channel = await createFileChannel(path, clock);
    const sink = new RecordingSink();
    channel.start(sink);
    const writing = channel.sendSlot(sharedSlot(2 ** 20), slotFrame(2 ** 20, 0));
    channel.destroy();
    await expect(writing).rejects.toMatchObject({ code: 'E_CHANNEL_RESET' });
    await expect(channel.end()).rejects.toMatchObject({ code: 'E_FILE' });
    expect(await readdir(directory)).toEqual(['guest.sterna']);
    expect(await readFile(path, 'utf8')).toBe('an older one');
    expect(sink.closings.map((error) => error?.code)).toEqual(['E_CHANNEL_RESET']);
  }));

test('createFileChannel() refuses when a partial file is there already', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    await writeFile(`${path}.partial`, 'of someone else');
    await expect(createFileChannel(path, clock)).rejects.toMatchObject({
      code: 'E_FILE',
      detail: { path: `${path}.partial`, systemCode: 'EEXIST' },
    });
    expect(await readFile(`${path}.partial`, 'utf8')).toBe('of someone else');
  }));

test('createFileChannel() and openFileChannel() name path and reason when they fail', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'missing', 'guest.sterna');
    await expect(createFileChannel(path, clock)).rejects.toMatchObject({
      code: 'E_FILE',
      message: `Cannot create ${path}.partial`,
      detail: { systemCode: 'ENOENT' },
    });
    await expect(openFileChannel(path, clock)).rejects.toMatchObject({
      code: 'E_FILE',
      message: `Cannot open ${path}`,
      detail: { systemCode: 'ENOENT' },
    });
  }));

test('send() and end() fail with E_FILE and ENOSPC when the disk is full', async () => {
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const file = fakeFile({ write: () => Promise.reject(full) });
  const channel = await createFileChannel('/somewhere/guest', clock, async () => file);
  const sink = new RecordingSink();
  channel.start(sink);
  const sends = [1, 2].map(() => channel.send(PING, new Uint8Array(8)));
  const expected = { code: 'E_FILE', detail: { path: '/somewhere/guest', systemCode: 'ENOSPC' } };
  for (const send of sends) await expect(send).rejects.toMatchObject(expected);
  await expect(channel.end()).rejects.toMatchObject(expected);
  expect(sink.closings).toMatchObject([expected]);
});

test('end() fails when the file cannot be made durable', async () => {
  const broken = Object.assign(new Error('input/output error'), { code: 'EIO' });
  const file = fakeFile({ sync: () => Promise.reject(broken) });
  const channel = await createFileChannel('/somewhere/guest', clock, async () => file);
  const sink = new RecordingSink();
  channel.start(sink);
  await channel.send(PING, new Uint8Array(8));
  const expected = { code: 'E_FILE', detail: { systemCode: 'EIO' } };
  await expect(channel.end()).rejects.toMatchObject(expected);
  expect(sink.closings).toMatchObject([expected]);
});

test('send() writes on when the disk takes a frame in parts', async () => {
  const written: number[] = [];
  const file = fakeFile({
    write: async (bytes, offset, length) => {
      const taken = Math.min(length, 7);
      written.push(...bytes.subarray(offset, offset + taken));
      return { bytesWritten: taken };
    },
  });
  const channel = await createFileChannel('/somewhere/guest', clock, async () => file);
  await channel.send(PING, Uint8Array.of(1, 2, 3));
  expect(written).toHaveLength(channel.sentBytes);
  expect(written.slice(-3)).toEqual([1, 2, 3]);
});

test('openFileChannel() takes no messages', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    await writeFile(path, '');
    await chmod(path, 0o400);
    const channel = await openFileChannel(path, clock);
    await expect(channel.send(PING, new Uint8Array(1))).rejects.toMatchObject({ code: 'E_FILE' });
  }));

test('destroy() while a file is read closes once and stops the delivery', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    const writer = await createFileChannel(path, clock);
    await Promise.all([1, 2, 3].map(() => writer.send(PING, new Uint8Array(5))));
    await writer.end();
    const reader = await openFileChannel(path, clock);
    const sink = new RecordingSink({ onFrame: () => reader.destroy() });
    reader.start(sink);
    await sink.untilClosed();
    await reader.end();
    expect(sink.frames).toHaveLength(1);
    expect(sink.closings.map((error) => error?.code)).toEqual(['E_CHANNEL_RESET']);
  }));

function fakeFile(replaced: Partial<MigrationFile>): MigrationFile {
  return {
    read: async () => ({ bytesRead: 0 }),
    write: async (_bytes, _offset, length) => ({ bytesWritten: length }),
    sync: async () => {},
    close: async () => {},
    ...replaced,
  };
}

test('completeFile() takes the file away when it is not certain to stay', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    await writeFile(`${path}.partial`, 'a stream that ends with GRANT');
    const failing = completeFile(path, () => Promise.reject(new Error('input/output error')));
    await expect(failing).rejects.toThrow('input/output error');
    expect(await readdir(directory)).toEqual([]);
  }));

test('completeFile() says that nobody knows the owner when the file may be there after all', () =>
  inTemporaryDirectory(async (directory) => {
    const path = join(directory, 'guest.sterna');
    await writeFile(`${path}.partial`, 'a stream that ends with GRANT');
    const failing = completeFile(path, async () => {
      // What lies there now cannot be unlinked.
      await rm(path);
      await mkdir(path);
      throw new Error('input/output error');
    });
    await expect(failing).rejects.toMatchObject({ code: 'E_FILE', guestOwner: 'unknown' });
  }));
