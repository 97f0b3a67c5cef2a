import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { writeCpio } from '../../../../src/cli/image/initrd/cpio-writer.ts';
import { FileTree } from '../../../../src/cli/image/initrd/file-tree.ts';
import { readCpio } from '../../../support/cpio-archive.ts';

function sample(): FileTree {
  const tree = new FileTree();
  tree.file('init', '#!/bin/sh\n', 0o755);
  tree.file('usr/bin/odd', 'abc');
  tree.file('bin/merged', 'here');
  tree.file('usr/share/ä', '');
  tree.symlink('etc/link', '../usr/bin/odd');
  tree.character('dev/console', 5, 1, 0o600);
  tree.directory('tmp', 0o1777);
  return tree;
}

const bytesOf = (tree: FileTree) => Buffer.concat(writeCpio(tree));

test('writeCpio() writes what a reader of the format finds again', () => {
  const entries = readCpio(bytesOf(sample()));
  expect(
    entries.map(({ path, mode, data }) => [path, mode.toString(8), data.toString('utf8')]),
  ).toEqual([
    ['bin', '120777', 'usr/bin'],
    ['dev', '40755', ''],
    ['dev/console', '20600', ''],
    ['etc', '40755', ''],
    ['etc/link', '120777', '../usr/bin/odd'],
    ['init', '100755', '#!/bin/sh\n'],
    ['lib', '120777', 'usr/lib'],
    ['lib64', '120777', 'usr/lib64'],
    ['sbin', '120777', 'usr/sbin'],
    ['tmp', '41777', ''],
    ['usr', '40755', ''],
    ['usr/bin', '40755', ''],
    ['usr/bin/merged', '100644', 'here'],
    ['usr/bin/odd', '100644', 'abc'],
    ['usr/lib', '40755', ''],
    ['usr/lib64', '40755', ''],
    ['usr/sbin', '40755', ''],
    ['usr/share', '40755', ''],
    ['usr/share/ä', '100644', ''],
  ]);
  expect(new Set(entries.map(({ inode }) => inode)).size).toBe(entries.length);
  expect(entries.every(({ time, owner }) => time === 0 && owner.every((id) => id === 0))).toBe(
    true,
  );
  expect(entries.find(({ path }) => path === 'dev/console')?.device).toEqual([5, 1]);
});

test('writeCpio() gives the same bytes for the same files, in whichever order they came', () => {
  const reversed = new FileTree();
  reversed.directory('tmp', 0o1777);
  reversed.character('dev/console', 5, 1, 0o600);
  reversed.symlink('etc/link', '../usr/bin/odd');
  reversed.file('usr/share/ä', '');
  reversed.file('bin/merged', 'here');
  reversed.file('usr/bin/odd', 'abc');
  reversed.file('init', '#!/bin/sh\n', 0o755);
  expect(bytesOf(reversed).equals(bytesOf(sample()))).toBe(true);
});

test('writeCpio() fills whole records, which may be concatenated', () => {
  expect(bytesOf(sample()).length % 512).toBe(0);
});

test('cpio lists the same names', ({ skip }) => {
  const { status, stdout, error } = spawnSync('cpio', ['-t', '--quiet'], {
    input: bytesOf(sample()),
  });
  if (error !== undefined) skip('this system has no cpio');
  expect(status).toBe(0);
  const names = readCpio(bytesOf(sample())).map(({ path }) => path);
  // It escapes what is not ASCII.
  expect(stdout.toString('utf8').trim().split('\n').length).toBe(names.length);
  expect(stdout.toString('utf8')).toContain('dev/console\n');
});

test('FileTree takes entries of packages, and keeps the links of merged directories', () => {
  const tree = new FileTree();
  const data = Buffer.from('tool');
  const part = { mode: 0o755, target: '', data: Buffer.alloc(0) };
  tree.add({ ...part, path: '', kind: 'directory' });
  tree.add({ ...part, path: 'bin', kind: 'directory' });
  tree.add({ ...part, path: 'lib64', kind: 'symlink', target: 'usr/lib64' });
  tree.add({ ...part, path: 'sbin/tool', kind: 'file', data });
  tree.add({ ...part, path: 'usr/bin/twin', kind: 'link', target: './sbin/tool' });
  tree.add({ ...part, path: 'dev/mem', kind: 'character' });
  const entries = new Map(tree.sorted());
  expect(entries.get('bin')).toEqual({ kind: 'symlink', mode: 0o777, target: 'usr/bin' });
  expect(entries.get('lib64')).toEqual({ kind: 'symlink', mode: 0o777, target: 'usr/lib64' });
  expect(entries.get('usr/bin/twin')).toEqual({ kind: 'file', mode: 0o755, data });
  expect(entries.has('dev/mem')).toBe(false);
  expect(() => tree.add({ ...part, path: 'x', kind: 'link', target: 'nowhere' })).toThrow(
    'A package has a link to nowhere, which it has not',
  );
});

test.each([
  ['usr/bin/redis-server', true],
  ['usr/share/doc/redis/README', false],
  ['usr/share/docbook/x', true],
  ['usr/lib/riscv64-linux-gnu/gconv/BIG5.so', false],
  ['lib/riscv64-linux-gnu/gconv/BIG5.so', false],
  ['usr/lib/riscv64-linux-gnu/libc.so.6', true],
])('FileTree.isWanted(%s) is %s', (path, expected) => {
  expect(FileTree.isWanted(path)).toBe(expected);
});
