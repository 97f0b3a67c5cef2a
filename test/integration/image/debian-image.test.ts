import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCpio } from '../../support/cpio-archive.ts';

/** A real image from a real mirror. The packages stay in a cache outside of the tree. */

const STERNA = fileURLToPath(new URL('../../../bin/sterna', import.meta.url));
const CACHE = join(process.env.XDG_CACHE_HOME ?? tmpdir(), 'sterna-test-images');
/** 115 MB, the first time. A mirror that takes longer is no use to a test. */
const FETCH_LIMIT_MS = 180_000;

/** What a host lacks, or the network, and not the command. */
const NOT_HERE = /\[E_IMAGE_TOOL\]|The lists of \w+ could not be fetched|name no Debian mirror/;

const directory: { path: string } = { path: '' };
beforeEach(() => {
  directory.path = mkdtempSync(join(tmpdir(), 'sterna-image-'));
});
afterEach(() => rmSync(directory.path, { recursive: true }));

test('sterna image debian makes an image of what the mirror has, and the same without it', async ({
  skip,
}) => {
  const first = join(directory.path, 'first');
  const online = await make(first);
  const reason = NOT_HERE.exec(online.stderr) === null ? undefined : online.stderr.trim();
  if (reason !== undefined || online.exitCode === 130) {
    const text = reason ?? `The mirror took longer than ${FETCH_LIMIT_MS} ms`;
    process.stderr.write(`Left out, no image can be made here: ${text}\n`);
    skip(text);
  }
  expect(online.stderr.split('\n').filter((line) => !line.startsWith('sterna image: '))).toEqual([
    '',
  ]);
  expect(online.exitCode).toBe(0);

  const manifest = JSON.parse(readFileSync(join(first, 'manifest.json'), 'utf8'));
  for (const name of ['Image', 'initrd.cpio']) {
    expect(manifest.files[name].sha256).toBe(sha256(join(first, name)));
  }
  const names: string[] = manifest.packages.map((one: { name: string }) => one.name);
  expect(names).toContain('busybox-static');
  expect(names[0]).toBe(`linux-image-${manifest['kernel-version']}`);
  expect(manifest.modules).toEqual(
    expect.arrayContaining(['virtio_mmio', 'virtio_blk', 'virtio_net', 'virtio_rng', 'ext4']),
  );

  const image = readFileSync(join(first, 'Image'));
  expect(image.toString('latin1', 0x30, 0x35)).toBe('RISCV');
  const entries = new Map(readCpio(readFileSync(join(first, 'initrd.cpio'))).map(named));
  // ELF of 64 bits, little-endian, for machine 243: RISC-V.
  const busybox = entries.get('usr/bin/busybox')?.data;
  expect(busybox?.toString('latin1', 0, 6)).toBe('\x7fELF\x02\x01');
  expect(busybox?.readUInt16LE(18)).toBe(243);
  const modules = `usr/lib/modules/${manifest['kernel-version']}`;
  const dependencies = entries.get(`${modules}/modules.dep`)?.data.toString('utf8') ?? '';
  expect(dependencies).toMatch(/virtio_net\.ko:.* \S*net_failover\.ko/);
  for (const path of dependencies.match(/kernel\/\S+\.ko/g) ?? []) {
    expect(entries.has(`${modules}/${path}`), path).toBe(true);
  }
  expect(entries.get(`${modules}/modules.alias`)?.data.toString('utf8')).toContain(
    'alias virtio:d00000002v* virtio_blk\n',
  );

  const second = join(directory.path, 'second');
  expect((await make(second, '--offline')).exitCode).toBe(0);
  for (const name of ['Image', 'initrd.cpio', 'manifest.json']) {
    expect(sha256(join(second, name)), name).toBe(sha256(join(first, name)));
  }
}, 300_000);

const named = <T extends { path: string }>(entry: T) => [entry.path, entry] as const;
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

function make(out: string, ...options: readonly string[]) {
  const words = ['image', 'debian', '--init', 'idle', '--out', out, '--cache', CACHE, ...options];
  const child = spawn(process.execPath, [STERNA, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  // As Ctrl-C: the command ends its programs and says that it was interrupted.
  const deadline = setTimeout(() => child.kill('SIGTERM'), FETCH_LIMIT_MS);
  return new Promise<{ exitCode: number | null; stderr: string }>((resolve) => {
    child.once('close', (exitCode) => {
      clearTimeout(deadline);
      resolve({ exitCode, stderr });
    });
  });
}
