import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FileDrive, parseDriveSpec } from '../../../../../../src/guest/riscv/board/index.ts';

describe('FileDrive', () => {
  let directory: string;
  let failures: string[];
  const path = (name: string) => join(directory, name);
  const open = (name: string, options = '') =>
    FileDrive.open(parseDriveSpec(`file=${path(name)},format=raw${options}`), (message) =>
      failures.push(message),
    );

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sterna-drive-'));
    failures = [];
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  test('what is written can be read, and is in the file after flush()', () => {
    writeFileSync(path('disk'), new Uint8Array(4096));
    const drive = open('disk');
    expect([drive.capacityBytes, drive.isReadOnly]).toEqual([4096, false]);
    expect(drive.write(512, Buffer.from('sector one'))).toBe(true);
    expect(drive.flush()).toBe(true);
    expect(Buffer.from(drive.read(510, 14) ?? [])).toEqual(Buffer.from('\0\0sector one\0\0'));
    expect(readFileSync(path('disk')).toString('latin1', 512, 522)).toBe('sector one');
    drive.close();
    expect(failures).toEqual([]);
  });

  test('a failure of the host is told, and the guest gets none of its detail', () => {
    writeFileSync(path('disk'), new Uint8Array(1024));
    const drive = open('disk', ',readonly=on');
    expect(drive.write(0, new Uint8Array(512))).toBe(false);
    truncateSync(path('disk'), 512);
    expect(drive.read(512, 512)).toBeUndefined();
    expect(drive.flush()).toBe(true);
    drive.close();
    expect(drive.read(0, 512)).toBeUndefined();
    expect(failures.map((failure) => failure.split(' ').at(-1))).toEqual(['write', 'read', 'read']);
  });

  test.each([
    ['nothing', '', 'E_FILE', /does not exist/],
    ['folder', '', 'E_FILE', /cannot be opened/],
    ['folder', ',readonly=on', 'E_CONFIG_INVALID', /is not a file/],
    ['empty', '', 'E_CONFIG_INVALID', /is empty/],
    ['odd', '', 'E_CONFIG_INVALID', /has 700 bytes, which is not a multiple of 512/],
  ])('open() refuses %s%s', (name, options, code, message) => {
    mkdirSync(path('folder'));
    writeFileSync(path('empty'), '');
    writeFileSync(path('odd'), new Uint8Array(700));
    expect(() => open(name, options)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test('open() proposes readonly=on for a file that can only be read', () => {
    writeFileSync(path('disk'), new Uint8Array(512));
    chmodSync(path('disk'), 0o444);
    // Who may write everything, as the superuser, gets the drive.
    let error: unknown;
    try {
      open('disk').close();
    } catch (thrown) {
      error = thrown;
    }
    const isSuperuser = process.getuid?.() === 0;
    expect(error).toEqual(
      isSuperuser
        ? undefined
        : expect.objectContaining({
            code: 'E_FILE',
            detail: expect.objectContaining({ expected: expect.stringMatching(/readonly=on/) }),
          }),
    );
    expect(open('disk', ',readonly=on').isReadOnly).toBe(true);
  });
});
