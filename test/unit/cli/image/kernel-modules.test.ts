import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import {
  aliasFile,
  dependencyFile,
  KernelModules,
} from '../../../../src/cli/image/initrd/kernel-modules.ts';
import { moduleFile } from '../../../support/module-file.ts';

/** Path -> what the module says of itself. */
function modules(files: Readonly<Record<string, readonly string[]>>, builtIn = '') {
  const entries = Object.entries(files).map(([path, info]) => [path, moduleFile(info)] as const);
  return new KernelModules(new Map(entries), builtIn);
}

const NETWORK = {
  'kernel/drivers/net/virtio_net.ko': [
    'license=GPL',
    'alias=virtio:d00000001v*',
    'depends=net_failover,virtio-ring',
  ],
  'kernel/drivers/net/net_failover.ko': ['depends=failover'],
  'kernel/net/core/failover.ko': ['depends='],
  'kernel/drivers/virtio/virtio-ring.ko': ['depends=failover'],
};

const names = (found: readonly { name: string }[]) => found.map(({ name }) => name);

test('closure() has each module once, after all that it needs', async () => {
  const found = await modules(NETWORK).closure(['virtio-net', 'failover']);
  expect(names(found)).toEqual(['failover', 'net_failover', 'virtio_ring', 'virtio_net']);
});

test('closure() leaves out what is loaded before and what the kernel has inside', async () => {
  const available = modules(NETWORK, 'kernel/drivers/virtio/virtio-ring.ko\n');
  const first = await available.closure(['net_failover']);
  expect(names(await available.closure(['virtio_net'], first))).toEqual(['virtio_net']);
  expect(names(await available.closure(['virtio_ring']))).toEqual([]);
});

test('closure() ends when modules need each other', async () => {
  const available = modules({ 'a.ko': ['depends=b'], 'b.ko': ['depends=a'] });
  expect(names(await available.closure(['a']))).toEqual(['b', 'a']);
});

test('closure() names a module that is missing, and what needs it', async () => {
  const available = modules({ 'a.ko': ['depends=gone'] });
  await expect(available.closure(['a'])).rejects.toMatchObject({
    code: 'E_IMAGE_CONTENT',
    message: 'The kernel package has no module gone',
    detail: { 'needed-by': 'a' },
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['no ELF', Buffer.from('not a module')],
  ['half of one', moduleFile(['depends=']).subarray(0, 100)],
  ['32 bits', Buffer.from(moduleFile([])).fill(1, 4, 5)],
  [
    'no .modinfo',
    Buffer.from(moduleFile([]).toString('latin1').replace('.modinfo', '.otherxx'), 'latin1'),
  ],
])('closure() refuses a module of %s', async (_, bytes) => {
  const available = new KernelModules(new Map([['a.ko', bytes]]), '');
  await expect(available.closure(['a'])).rejects.toMatchObject({
    code: 'E_IMAGE_CONTENT',
    message: 'The kernel module a cannot be read',
  });
});

test('closure() decompresses, and keeps paths without the suffix', async () => {
  const plain = moduleFile(['depends=']);
  const asked: string[] = [];
  const files = new Map<string, Uint8Array>([
    ['kernel/a.ko.xz', Buffer.from('xz of a')],
    ['kernel/b.ko.zst', Buffer.from('zst of b')],
    ['kernel/c.ko.gz', gzipSync(plain)],
  ]);
  const available = new KernelModules(files, '', async (program, bytes) => {
    asked.push(`${program}: ${Buffer.from(bytes).toString('utf8')}`);
    return plain;
  });
  const found = await available.closure(['a', 'b', 'c']);
  expect(found.map(({ path }) => path)).toEqual(['kernel/a.ko', 'kernel/b.ko', 'kernel/c.ko']);
  expect(asked).toEqual(['xz: xz of a', 'zstd: zst of b']);
  expect(found.every(({ bytes }) => plain.equals(bytes))).toBe(true);
});

test('dependencyFile() and aliasFile() are what modprobe reads', async () => {
  const found = await modules(NETWORK).closure(['virtio_net']);
  expect(dependencyFile(found)).toBe(
    [
      'kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko',
      'kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio-ring.ko',
      'kernel/drivers/virtio/virtio-ring.ko: kernel/net/core/failover.ko',
      'kernel/net/core/failover.ko:',
      '',
    ].join('\n'),
  );
  expect(aliasFile(found)).toBe('alias virtio:d00000001v* virtio_net\n');
});
