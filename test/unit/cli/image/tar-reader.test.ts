import { describe, expect, test } from 'vitest';
import { type TarEntry, TarReader } from '../../../../src/cli/image/initrd/tar-reader.ts';
import { paxHeader, type TarPart, tarArchive } from '../../../support/tar-archive.ts';

function read(bytes: Buffer, split = bytes.length, isWanted = (_: string) => true): TarEntry[] {
  const entries: TarEntry[] = [];
  const reader = new TarReader(isWanted, (entry) => entries.push(entry));
  for (let at = 0; at < bytes.length; at += split) reader.push(bytes.subarray(at, at + split));
  reader.end();
  return entries;
}

const shown = (entries: readonly TarEntry[]) =>
  entries.map(({ path, kind, mode, target, data }) => [
    ...[path, kind, mode.toString(8), target],
    Buffer.from(data).toString('utf8'),
  ]);

const LONG = `usr/share/${'deep/'.repeat(30)}file`;

const PARTS: readonly TarPart[] = [
  { path: './', type: '5', mode: 0o755 },
  { path: './usr/bin/tool', content: 'x'.repeat(700), mode: 0o4755 },
  { path: './usr/bin/empty' },
  { path: './usr/lib/a.so', type: '2', target: 'a.so.1' },
  { path: './usr/bin/twin', type: '1', target: './usr/bin/tool' },
  { path: '././@LongLink', type: 'L', content: `./${LONG}\0` },
  { path: 'cut', content: 'gnu' },
  paxHeader({ path: `./pax/${LONG}`, mtime: '1.5' }),
  { path: 'cut', content: 'pax' },
  { path: '././@LongLink', type: 'K', content: `${LONG}\0` },
  { path: 'far', type: '2', target: 'cut' },
  { path: 'after', content: 'short again' },
];

const EXPECTED = [
  ['', 'directory', '755', '', ''],
  ['usr/bin/tool', 'file', '4755', '', 'x'.repeat(700)],
  ['usr/bin/empty', 'file', '644', '', ''],
  ['usr/lib/a.so', 'symlink', '644', 'a.so.1', ''],
  ['usr/bin/twin', 'link', '644', './usr/bin/tool', ''],
  [LONG, 'file', '644', '', 'gnu'],
  [`pax/${LONG}`, 'file', '644', '', 'pax'],
  ['far', 'symlink', '644', LONG, ''],
  ['after', 'file', '644', '', 'short again'],
];

test.each([1, 7, 511, 512, 513, 4096, 1e6])('TarReader reads chunks of %i bytes', (split) => {
  expect(shown(read(tarArchive(PARTS), split))).toEqual(EXPECTED);
});

test('TarReader passes over what is not wanted', () => {
  const entries = read(tarArchive(PARTS), 100, (path) => path === LONG || path === 'after');
  expect(entries.map(({ path }) => path)).toEqual([LONG, 'after']);
});

describe('TarReader refuses', () => {
  test.each([
    ['a path that leads out', tarArchive([{ path: '../etc/passwd' }]), 'leads out of the root'],
    ['one in the middle', tarArchive([{ path: 'a/../../b' }]), 'leads out of the root'],
    ['a kind that is none', tarArchive([{ path: 'a', type: 'V' }]), 'has the type "V"'],
    ['a damaged header', damaged(tarArchive([{ path: 'a' }]), 0), 'checksum'],
    ['a damaged pax header', tarArchive([{ path: 'p', type: 'x', content: 'x y=z' }]), 'pax'],
    ['no tar at all', Buffer.alloc(600, 'no'), 'number of a header'],
    ['an end in a header', tarArchive([{ path: 'a' }]).subarray(0, 100), 'ends too early'],
    [
      'an end in a body',
      tarArchive([{ path: 'a', content: 'x'.repeat(600) }]).subarray(0, 700),
      'ends too early',
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(message);
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'E_IMAGE_CONTENT' }));
  });
});

function damaged(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}
