import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../../../src/cli/index.ts';
import { fakeContext } from '../../../support/cli-context.ts';

/** No program is in reach, so that what a user can correct must be said before one is needed. */
async function run(...argv: string[]) {
  const fake = fakeContext({ environment: { PATH: '/nowhere' } });
  const exitCode = await runCli(fake.context, '1.2.3', ['image', ...argv]);
  return { exitCode, stdout: fake.stdout(), stderr: fake.stderr() };
}

const directory: { path: string } = { path: '' };
beforeEach(() => {
  directory.path = mkdtempSync(join(tmpdir(), 'sterna-image-'));
});
afterEach(() => rmSync(directory.path, { recursive: true }));

describe('sterna image debian answers wrong usage with exit code 2 and the next step', () => {
  test.each<[string, string[], string]>([
    ['no --out', [], "required option '--out <directory>'"],
    ['a name that is none', ['--out', 'o', '--packages', 'Redis'], 'names of packages'],
    ['an option as a name', ['--out', 'o', '--packages', 'a,-oDir::Etc=x'], 'names of packages'],
    ['an empty name', ['--out', 'o', '--packages', 'redis,'], 'names of packages'],
    ['a removal', ['--out', 'o', '--packages', 'redis/sid'], 'names of packages'],
    ['a path as a suite', ['--out', 'o', '--suite', '../x'], 'a suite of Debian'],
    ['a mirror without a scheme', ['--out', 'o', '--mirror', 'm/debian'], 'URL of http'],
    ['a mirror with more', ['--out', 'o', '--mirror', 'http://m/d sid main'], 'URL of http'],
    [
      'offline with a mirror',
      ['--out', 'o', '--offline', '--mirror', 'http://m/d'],
      'leave --mirror',
    ],
    ['an unknown option', ['--out', 'o', '--arch', 'arm64'], "unknown option '--arch'"],
  ])('%s', async (_, options, message) => {
    const { exitCode, stdout, stderr } = await run('debian', ...options);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
    expect(stderr).toContain('next: sterna image debian --help');
  });

  test('another system', async () => {
    const { exitCode, stderr } = await run('ubuntu');
    expect(exitCode).toBe(2);
    expect(stderr).toContain("unknown command 'ubuntu'");
  });

  test.each([
    ['is not there', (path: string) => join(path, 'none'), 'cannot be read'],
    ['is a directory', (path: string) => path, 'cannot be read'],
    ['is empty', (path: string) => written(path, ''), 'is no script'],
    ['is a program', (path: string) => written(path, '\x7fELF\0\0'), 'is no script'],
    ['is huge', (path: string) => written(path, ' '.repeat(2 ** 20 + 1)), 'cannot be read'],
  ])('an init script that %s', async (_, path, message) => {
    const init = path(directory.path);
    const { exitCode, stderr } = await run('debian', '--out', directory.path, '--init', init);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`--init ${init} ${message} [E_CONFIG_INVALID]`);
  });
});

test('sterna image debian names every program that is missing, and the way around', async () => {
  const { exitCode, stderr } = await run('debian', '--out', directory.path);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(
    'This host lacks apt-get, apt-cache, apt-config, dpkg-deb, xz [E_IMAGE_TOOL]',
  );
  expect(stderr).toContain('docker build --target image');
});

function written(folder: string, text: string): string {
  const path = join(folder, 'init.sh');
  writeFileSync(path, text);
  return path;
}
