import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../../../src/cli/index.ts';
import { fakeContext } from '../../../support/cli-context.ts';
import { readCpio } from '../../../support/cpio-archive.ts';
import { FAKE_KERNEL, FakeDebian } from '../../../support/fake-debian/fake-debian.ts';
import { until } from '../../../support/until.ts';

const host: { debian: FakeDebian } = { debian: new FakeDebian() };
beforeEach(() => {
  host.debian.remove();
  host.debian = new FakeDebian();
});
afterEach(() => host.debian.remove());

const at = (...names: readonly string[]) => join(host.debian.root, ...names);
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Runs the command with the fake host's programs, and nothing else, in reach. */
function start(...options: readonly string[]) {
  const environment = { PATH: host.debian.path, HOME: at('home') };
  const fake = fakeContext({ environment });
  const argv = ['image', 'debian', '--out', at('out'), '--packages', 'redis-server', ...options];
  const ended = runCli(fake.context, '1.2.3', argv).then((exitCode) => ({
    ...{ exitCode, stdout: fake.stdout(), stderr: fake.stderr() },
  }));
  return { fake, ended };
}

const make = (...options: readonly string[]) => start(...options).ended;

test('sterna image debian makes a kernel, an initrd and a manifest', async () => {
  const { exitCode, stdout, stderr } = await make();
  expect(stderr.split('\n').filter((line) => !line.startsWith('sterna image: '))).toEqual(['']);
  expect(exitCode).toBe(0);
  const files = ['Image', 'initrd.cpio', 'manifest.json'].map((name) => at('out', name));
  expect(stdout).toBe(`${files.join('\n')}\n`);
  expect(readdirSync(at('out')).sort()).toEqual(['Image', 'initrd.cpio', 'manifest.json']);
  expect(readFileSync(at('out/Image')).toString('latin1', 0x30, 0x35)).toBe('RISCV');

  const entries = new Map(readCpio(readFileSync(at('out/initrd.cpio'))).map((e) => [e.path, e]));
  const modules = `usr/lib/modules/${FAKE_KERNEL}`;
  expect([...entries.keys()].filter((path) => path.startsWith(modules))).toEqual([
    modules,
    `${modules}/kernel`,
    `${modules}/kernel/crypto`,
    `${modules}/kernel/crypto/crc32c_generic.ko`,
    `${modules}/kernel/drivers`,
    `${modules}/kernel/drivers/virtio-rng.ko`,
    `${modules}/kernel/drivers/virtio_blk.ko`,
    `${modules}/kernel/drivers/virtio_mmio.ko`,
    `${modules}/kernel/drivers/virtio_net.ko`,
    `${modules}/kernel/fs`,
    `${modules}/kernel/fs/ext4.ko`,
    `${modules}/kernel/net`,
    `${modules}/kernel/net/failover.ko`,
    `${modules}/modules.alias`,
    `${modules}/modules.dep`,
  ]);
  expect(entries.get('usr/bin/redis-server')?.data.toString('utf8')).toBe('redis');
  expect(entries.get('usr/lib/libc.so.6')?.data.toString('utf8')).toBe('libc');
  expect(entries.get('usr/share/doc/busybox/copyright')).toBeUndefined();
  expect(entries.get('init')?.mode).toBe(0o100755);
  expect(entries.get('init')?.data.toString('utf8')).toContain(
    'for module in kernel/drivers/virtio_mmio.ko; do',
  );

  const manifest = JSON.parse(readFileSync(at('out/manifest.json'), 'utf8'));
  expect(manifest).toMatchObject({
    ...{ format: 1, suite: 'trixie', architecture: 'riscv64', init: 'console' },
    'kernel-version': FAKE_KERNEL,
    'requested-packages': ['redis-server'],
  });
  expect(manifest.packages.map((one: { name: string }) => one.name)).toEqual([
    `linux-image-${FAKE_KERNEL}`,
    ...['busybox-static', 'libc6', 'redis-server'],
  ]);
  expect(manifest.packages[1]).toMatchObject({ version: '1:1.37-6', architecture: 'riscv64' });
  const cached = at('home/.cache/sterna/archives/busybox-static_1%3a1.37-6_riscv64.deb');
  expect(manifest.packages[1].sha256).toBe(sha256(cached));
  for (const [name, file] of Object.entries<{ sha256: string; bytes: number }>(manifest.files)) {
    expect(file.sha256, name).toBe(sha256(at('out', name)));
    expect(file.bytes, name).toBe(readFileSync(at('out', name)).length);
  }
});

test('apt is told to take riscv64, to trust only signed lists, and nothing of the host but proxies', async () => {
  host.debian.become({
    configuration: [
      'Acquire::http::Proxy "http://proxy:3128";',
      'APT::Architecture "amd64";',
      'Acquire::AllowInsecureRepositories "true";',
    ],
  });
  expect((await make()).exitCode).toBe(0);
  const configuration = readFileSync(at('home/.cache/sterna/trixie/apt.conf'), 'utf8');
  expect(configuration).toContain('APT::Architecture "riscv64";');
  expect(configuration).toContain('Acquire::AllowInsecureRepositories "false";');
  expect(configuration).toContain('Acquire::http::Proxy "http://proxy:3128";');
  expect(configuration).not.toMatch(/amd64|"true";\nAcquire::Allow|Insecure\w* "true"/);
  const keyring = at('usr/share/keyrings/debian-archive-keyring.gpg');
  expect(readFileSync(at('home/.cache/sterna/trixie/sources.list'), 'utf8')).toBe(
    `deb [signed-by=${keyring}] http://mirror/debian trixie main\n`,
  );
});

test('--offline makes the same bytes from the cache, and asks nobody', async () => {
  await make();
  const before = readdirSync(at('out')).map((name) => sha256(at('out', name)));
  host.debian.calls();
  host.debian.become({ errors: { update: ['E: no network'], download: ['E: no network'] } });
  const { exitCode } = await make('--offline');
  expect(exitCode).toBe(0);
  expect(readdirSync(at('out')).map((name) => sha256(at('out', name)))).toEqual(before);
  const asked = host.debian
    .calls()
    .filter((call) => /update|download(?!.*--print-uris)/.test(call));
  expect(asked).toEqual([]);
});

test('a second image fetches only what is new, and --gzip takes the place of the other initrd', async () => {
  await make();
  host.debian.calls();
  const plain = readFileSync(at('out/initrd.cpio'));
  expect((await make('--gzip')).exitCode).toBe(0);
  expect(host.debian.calls().some((call) => call.includes('Status-Fd'))).toBe(false);
  expect(readdirSync(at('out')).sort()).toEqual(['Image', 'initrd.cpio.gz', 'manifest.json']);
  expect(gunzipSync(readFileSync(at('out/initrd.cpio.gz'))).equals(plain)).toBe(true);
});

test('a package that is damaged in the cache is fetched again, or offline missed', async () => {
  await make();
  const cached = at('home/.cache/sterna/archives/libc6_2.41_riscv64.deb');
  const whole = sha256(cached);
  const bytes = readFileSync(cached);
  bytes[600] = (bytes[600] ?? 0) ^ 1;
  writeFileSync(cached, bytes);
  const offline = await make('--offline');
  expect(offline.stderr).toContain('The cache lacks 1 packages [E_IMAGE_CACHE]');
  expect(offline.stderr).toContain('packages: libc6');
  expect((await make()).exitCode).toBe(0);
  expect(sha256(cached)).toBe(whole);
});

test('--json tells progress and result as objects', async () => {
  const { stdout, stderr } = await make('--json');
  expect(stderr).toBe('');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.slice(0, -1).every(({ event }) => event === 'progress')).toBe(true);
  expect(lines.map(({ step }) => step)).toEqual([
    'lists',
    'plan',
    'fetch',
    'fetch',
    'fetch',
    'kernel',
    'packages',
    'write',
    undefined,
  ]);
  expect(lines.filter(({ percent }) => percent !== undefined).map((line) => line.percent)).toEqual([
    50, 100,
  ]);
  expect(lines.at(-1)).toMatchObject({ event: 'result', files: { length: 3 } });
});

test('--init takes a file; every image has our own scripts too', async () => {
  host.debian.write('mine.sh', '#!/bin/sh\necho mine\n');
  expect((await make('--init', at('mine.sh'))).exitCode).toBe(0);
  const entries = new Map(readCpio(readFileSync(at('out/initrd.cpio'))).map((e) => [e.path, e]));
  expect(entries.get('sterna/init/init')?.data.toString('utf8')).toContain('echo mine');
  expect(entries.get('init')?.data.toString('utf8')).toContain('sterna_init:-init}');
  expect([...entries.keys()].filter((path) => path.startsWith('sterna/init/'))).toEqual(
    [
      'console',
      'idle',
      'init',
      'redis-benchmark',
      'redis-load',
      'self-test',
      'sqlite',
      'sqlite-load',
      'stream',
    ].map((n) => `sterna/init/${n}`),
  );
});

const KEYRING = 'usr/share/keyrings/debian-archive-keyring.gpg';

test.each<[string, string, string[], () => void]>([
  [
    'a host without apt',
    'E_IMAGE_TOOL',
    ['This host lacks apt-get, apt-cache', 'docker build'],
    () => host.debian.without('bin/apt-get', 'bin/apt-cache'),
  ],
  [
    'a host without xz',
    'E_IMAGE_TOOL',
    ['This host lacks xz ', 'xz-utils'],
    () => host.debian.without('bin/xz'),
  ],
  [
    'no keyring',
    'E_IMAGE_TOOL',
    ['lacks debian-archive-keyring', 'sudo apt-get install'],
    () => host.debian.without(KEYRING),
  ],
  [
    'no Debian mirror',
    'E_IMAGE_MIRROR',
    ['name no Debian mirror', '--mirror URL'],
    () => host.debian.write('sources.list', 'deb http://mirror/ubuntu noble main\n'),
  ],
  [
    'a mirror out of reach',
    'E_IMAGE_MIRROR',
    ['could not be fetched', '--offline'],
    () =>
      host.debian.become({
        errors: { update: ['E: Failed to fetch http://mirror/x  Could not connect'] },
      }),
  ],
  [
    'lists of somebody else',
    'E_IMAGE_SIGNATURE',
    ['not signed by Debian'],
    () =>
      host.debian.become({
        errors: {
          update: [
            'W: GPG error: NO_PUBKEY 0E98404D386FA1D9',
            "E: The repository 'x' is not signed.",
          ],
        },
      }),
  ],
  [
    'a suite that is none',
    'E_IMAGE_PACKAGE',
    ['The mirror has no suite trixie'],
    () =>
      host.debian.become({
        errors: {
          update: [
            "E: The repository 'http://mirror trixie Release' does not have a Release file.",
          ],
        },
      }),
  ],
  [
    'packages that conflict',
    'E_IMAGE_PACKAGE',
    ['cannot be put together', 'redis-server'],
    () =>
      host.debian.become({
        errors: { install: ['E: Unable to correct problems, you have held broken packages.'] },
      }),
  ],
  [
    'a download that fails',
    'E_IMAGE_MIRROR',
    ['The packages could not be fetched', 'E: Failed'],
    () => host.debian.become({ errors: { download: ['E: Failed to fetch'] } }),
  ],
  [
    'a damaged download',
    'E_IMAGE_MIRROR',
    ['libc6_2.41_riscv64.deb did not come as its list says'],
    () => host.debian.become({ damages: 'libc6' }),
  ],
  [
    'a kernel that is none',
    'E_IMAGE_CONTENT',
    ['is no flat RISC-V Image'],
    () =>
      changeKernel((path) => path.includes('vmlinux'), { content: 'MZ, but of another machine' }),
  ],
  [
    'a kernel package without a kernel',
    'E_IMAGE_CONTENT',
    ['no kernel in /boot'],
    () => changeKernel((path) => path.includes('vmlinux'), { path: './boot/config' }),
  ],
  [
    'a kernel without drivers',
    'E_IMAGE_CONTENT',
    ['has no module virtio_mmio'],
    () => changeKernel((path) => path.includes('virtio_mmio'), { path: './other' }),
  ],
  [
    'a module that is damaged',
    'E_IMAGE_CONTENT',
    ['cannot be decompressed', 'not recognized'],
    () => changeKernel((path) => path.includes('virtio_mmio'), { content: 'no xz' }),
  ],
])('%s ends with %s, says what, and leaves nothing', async (_, code, texts, change) => {
  change();
  const { exitCode, stdout, stderr } = await make();
  expect(exitCode).toBe(1);
  expect(stdout).toBe('');
  for (const text of [`[${code}]`, '\n  next: ', ...texts]) expect(stderr).toContain(text);
  expect(existsSync(at('out')) ? readdirSync(at('out')) : []).toEqual([]);
  const cache = at('home/.cache/sterna');
  const left = existsSync(cache) ? readdirSync(cache) : [];
  expect(left.filter((name) => name === 'lock' || name.startsWith('incoming'))).toEqual([]);
});

test('an unknown package is named', async () => {
  const { exitCode, stderr } = await make('--packages', 'redis-server,nonesuch');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('trixie has no nonesuch for riscv64 [E_IMAGE_PACKAGE]');
});

test('--offline without lists says so, also when the first attempt failed', async () => {
  host.debian.become({ errors: { update: ['E: Failed to fetch'] } });
  await make();
  const { exitCode, stderr } = await make('--offline');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('The cache has no package lists of trixie [E_IMAGE_CACHE]');
});

test('lists in the cache stay of use when newer ones cannot be fetched', async () => {
  await make();
  host.debian.become({ errors: { update: ['E: Failed to fetch'] } });
  expect((await make('--mirror', 'http://other/debian')).exitCode).toBe(1);
  expect((await make('--offline')).exitCode).toBe(0);
});

test.each([
  ['a file', 'cache', 'E_IMAGE_CACHE', 'ENOTDIR'],
  ['a file in its place', 'cache/trixie', 'E_IMAGE_CACHE', 'ENOTDIR'],
])('a cache that is %s is refused', async (_, path, code, reason) => {
  host.debian.write(path, 'no directory');
  const { exitCode, stderr } = await make('--cache', at('cache'));
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`cannot be used [${code}]`);
  expect(stderr).toContain(reason);
});

test('an output that cannot be written is refused before anything is fetched', async () => {
  host.debian.write('out', 'no directory');
  const { exitCode, stderr } = await make();
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`The image cannot be written to ${at('out')} [E_FILE]`);
  expect(host.debian.calls()).toEqual([]);
});

test('a failure leaves the image that was there', async () => {
  await make();
  const before = sha256(at('out/manifest.json'));
  host.debian.become({ errors: { install: ['E: Unable to correct problems'] } });
  expect((await make()).exitCode).toBe(1);
  expect(sha256(at('out/manifest.json'))).toBe(before);
});

test('two at once do not share a cache; Ctrl-C ends the one that waits', async () => {
  host.debian.become({ hangs: true });
  const first = start();
  await until('the first holds the cache', () =>
    first.fake.stderr().includes('fetches the package lists') ? true : undefined,
  );
  const second = await make();
  expect(second.exitCode).toBe(1);
  expect(second.stderr).toMatch(/Process \d+ makes an image with this cache \[E_IMAGE_CACHE\]/);
  first.fake.interrupt();
  const { exitCode, stderr } = await first.ended;
  expect(exitCode).toBe(130);
  expect(stderr).toContain('The image was not made: interrupted [E_CANCELLED]');
  host.debian.become({});
  expect((await make()).exitCode).toBe(0);
});

function changeKernel(isMeant: (path: string) => boolean, change: object): void {
  const name = `linux-image-${FAKE_KERNEL}`;
  const kernel = host.debian.packages[name]!;
  const content = kernel.content.map((part) =>
    isMeant(part.path) ? { ...part, ...change } : part,
  );
  host.debian.packages[name] = { ...kernel, content };
  host.debian.become({});
}
