import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../../../src/base/index.ts';
import { DriveLocks, type DriveUser } from '../../../../src/control/machine/drive-locks.ts';
import { hostDevices } from '../../../../src/control/machine/host-devices.ts';
import { parseDriveSpec } from '../../../../src/guest/index.ts';

const GUEST = '0f0e0d0c-0000-4000-8000-00000000000a';
const OTHER = '0f0e0d0c-0000-4000-8000-00000000000b';

let folder: string;
let image: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sterna-drive-locks-'));
  image = join(folder, 'disk');
  writeFileSync(image, new Uint8Array(512));
});

afterEach(() => rmSync(folder, { recursive: true }));

interface Use extends Partial<DriveUser> {
  readonly file?: string;
  readonly readonly?: boolean;
}

function take({ file = image, readonly = false, ...user }: Use = {}): DriveLocks {
  const spec = parseDriveSpec(`file=${file},format=raw,readonly=${readonly ? 'on' : 'off'}`);
  const who = { agent: 'first', uuid: GUEST, isArriving: false, ...user };
  return DriveLocks.take([spec], who, silentLogger());
}

/** The lock files that there are. */
function files(): string[] {
  return readdirSync(folder).filter((name) => name.includes('.lock-'));
}

/** Another process has taken the place of the one whose lock is there. */
function rewrite(change: (lock: Record<string, unknown>) => object): string {
  const [name = ''] = files();
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))));
  return path;
}

const locked = (message: string) =>
  expect.objectContaining({
    code: 'E_DRIVE_LOCKED',
    message: expect.stringContaining(message),
    detail: expect.objectContaining({ lock: expect.stringContaining(`${image}.lock-`) }),
  });

test("an image that one guest writes is nobody else's, and the error says whose", () => {
  const locks = take();
  const holder = `Process ${process.pid} (agent first) writes the image ${image}`;
  expect(() => take({ uuid: OTHER, agent: 'second' })).toThrow(locked(holder));
  expect(() => take({ uuid: OTHER, readonly: true })).toThrow(locked(holder));
  // Also not the same guest's, which some process would then run a second time.
  expect(() => take()).toThrow(locked(holder));
  expect(files()).toHaveLength(1);
  locks.release();
  expect(files()).toEqual([]);
  take({ uuid: OTHER }).release();
});

test('any number of guests read an image, and nobody writes it then', () => {
  const readers = [take({ readonly: true }), take({ readonly: true, uuid: OTHER })];
  expect(() => take()).toThrow(locked('reads the image'));
  expect(files()).toHaveLength(2);
  for (const reader of readers) reader.release();
  take().release();
});

test('a guest that may come has the image beside its own process, and keeps all others out', () => {
  const source = take();
  expect(() => take({ uuid: OTHER, isArriving: true })).toThrow(locked('writes'));
  const destination = take({ isArriving: true, agent: 'second' });
  source.release();
  expect(() => take({ uuid: OTHER })).toThrow(locked('(agent second) writes'));
  destination.release();
});

test('an image is known by what it is, whatever name leads to it', () => {
  const link = join(folder, 'link');
  symlinkSync(image, link);
  const locks = take({ file: link });
  expect(() => take({ uuid: OTHER })).toThrow(locked('writes'));
  locks.release();
});

test('the lock of a process that is dead, or was before the host started, is removed', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  const dead: ((place: object) => object)[] = [
    () => ({ pid: child.pid }),
    () => ({ startTicks: '1' }),
    (place) => ({ place: { ...place, boot: 'an earlier one' } }),
  ];
  for (const change of dead) {
    take();
    rewrite((lock) => ({ ...lock, ...change(lock.place as object) }));
    const locks = take({ uuid: OTHER });
    expect(files()).toHaveLength(1);
    locks.release();
    expect(files()).toEqual([]);
  }
});

test('the lock of another host or container stays, for nobody here can look there', () => {
  for (const change of [{ host: 'elsewhere' }, { pidNamespace: 'pid:[1]' }]) {
    take();
    const path = rewrite((lock) => ({ ...lock, place: { ...(lock.place as object), ...change } }));
    const holder = `Process ${process.pid} on `;
    expect(() => take({ uuid: OTHER })).toThrow(locked(holder));
    // As the next step says.
    rmSync(path);
    take({ uuid: OTHER }).release();
  }
});

test('a file that only has such a name is no lock', () => {
  writeFileSync(`${image}.lock-1-abc`, 'not a lock');
  mkdirSync(`${image}.lock-2-abc`);
  take().release();
  expect(files()).toHaveLength(2);
});

test('of several images none is locked when one is not to be had', () => {
  const other = join(folder, 'other');
  writeFileSync(other, new Uint8Array(512));
  const locks = take({ file: other });
  const specs = [image, other].map((file) => parseDriveSpec(`file=${file},format=raw`));
  const user = { agent: 'second', uuid: OTHER, isArriving: false };
  expect(() => DriveLocks.take(specs, user, silentLogger())).toThrow('writes the image');
  expect(files()).toHaveLength(1);
  locks.release();
});

test('one guest has no image twice, unless it only reads it', () => {
  const drive = (name: string, access: string) => `file=${name},format=raw,readonly=${access}`;
  const link = join(folder, 'link');
  symlinkSync(image, link);
  expect(() => hostDevices({ drives: [drive(image, 'off'), drive(link, 'on')] })).toThrow(
    expect.objectContaining({
      code: 'E_CONFIG_INVALID',
      message: `Drive ${link} is the image of another drive`,
    }),
  );
  expect(hostDevices({ drives: [drive(image, 'on'), drive(link, 'on')] }).drives).toHaveLength(2);
});
