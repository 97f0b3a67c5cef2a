import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  debianSource,
  type PackageSource,
  parseDeb822,
  parseOneLine,
  readHostSources,
} from '../../../../src/cli/image/apt/host-sources.ts';

const source = (uri: string, suite: string, signedBy?: string): PackageSource => ({
  ...{ uri, suite, components: ['main'], signedBy },
});

describe('parseOneLine()', () => {
  test.each([
    ['deb http://m/debian bookworm main', [source('http://m/debian', 'bookworm')]],
    [
      'deb [ arch=amd64 signed-by=/k/d.gpg ] https://m/debian sid main contrib # why',
      [{ ...source('https://m/debian', 'sid', '/k/d.gpg'), components: ['main', 'contrib'] }],
    ],
    ['deb\t[trusted=no]\thttp://m/debian\ttrixie\tmain', [source('http://m/debian', 'trixie')]],
    ['deb-src http://m/debian bookworm main', []],
    ['# deb http://m/debian bookworm main', []],
    ['deb cdrom:[Debian GNU/Linux 12]/ bookworm main', []],
    ['deb http://m/debian', []],
    ['deb [unclosed http://m/debian bookworm main', []],
    ['debian bookworm', []],
    ['deb http://m/flat ./', [{ ...source('http://m/flat', './'), components: [] }]],
    ['', []],
  ])('%j', (line, expected) => {
    expect(parseOneLine(`\n${line}\n`)).toEqual(expected);
  });
});

describe('parseDeb822()', () => {
  test('gives every URI with every suite, of stanzas that are on', () => {
    const text = [
      'Types: deb deb-src',
      '# a comment in the middle',
      'URIs: http://a/debian',
      '  http://b/debian',
      'suites: bookworm bookworm-updates',
      'Components: main',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
      'Types: deb',
      'URIs: http://c/debian',
      'Suites: trixie',
      'Components: main',
      'Enabled: no',
      ' \t',
      'Types: deb-src',
      'URIs: http://d/debian',
      'Suites: trixie',
      'Components: main',
    ].join('\n');
    const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
    expect(parseDeb822(text)).toEqual([
      source('http://a/debian', 'bookworm', key),
      source('http://a/debian', 'bookworm-updates', key),
      source('http://b/debian', 'bookworm', key),
      source('http://b/debian', 'bookworm-updates', key),
    ]);
  });

  test('takes a key that is written out for no path', () => {
    const text =
      'Types: deb\nURIs: http://a/d\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n mQ/x\n';
    expect(parseDeb822(text)).toEqual([source('http://a/d', 'sid')]);
  });

  test.each(['', '\n\n\n', 'Types deb', ' continued: nothing', 'Types: deb'])('%j', (text) => {
    expect(parseDeb822(text)).toEqual([]);
  });
});

describe('debianSource()', () => {
  test('prefers what is bound to the keys of Debian, then what looks like a mirror', () => {
    const other = source('http://vpn/apt', 'bookworm');
    const mirror = source('http://m/debian/', 'bookworm');
    const signed = source('http://n/any', 'bookworm', '/k/debian-archive-keyring.gpg');
    expect(debianSource([other, mirror, signed])).toBe(signed);
    expect(debianSource([other, mirror])).toBe(mirror);
    expect(debianSource([other])).toBe(other);
  });

  test.each(['bookworm-security', 'bookworm-updates', 'bookworm-pgdg', 'nodistro', 'jammy', './'])(
    'takes %s for no main archive of Debian',
    (suite) => {
      expect(debianSource([source('http://m/debian', suite)])).toBeUndefined();
    },
  );

  test('wants main', () => {
    const contrib = { ...source('http://m/debian', 'sid'), components: ['contrib'] };
    expect(debianSource([contrib])).toBeUndefined();
  });
});

describe('readHostSources()', () => {
  const directories: string[] = [];
  afterEach(() => {
    for (const path of directories.splice(0)) rmSync(path, { recursive: true });
  });

  test('reads both kinds of files, and no others', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sterna-sources-'));
    directories.push(directory);
    const parts = join(directory, 'parts');
    mkdirSync(parts);
    const line = (host: string) => `deb http://${host}/debian sid main\n`;
    writeFileSync(join(directory, 'sources.list'), line('one'));
    writeFileSync(join(parts, 'b.list'), line('three'));
    writeFileSync(
      join(parts, 'a.sources'),
      'Types: deb\nURIs: http://two/debian\nSuites: sid\nComponents: main\n',
    );
    writeFileSync(join(parts, 'c.list.disabled'), line('off'));
    const found = await readHostSources(join(directory, 'sources.list'), parts);
    expect(found.map(({ uri }) => uri)).toEqual([
      'http://one/debian',
      'http://two/debian',
      'http://three/debian',
    ]);
  });

  test('finds nothing where there is nothing', async () => {
    expect(await readHostSources('/nowhere/sources.list', '/nowhere/parts')).toEqual([]);
  });
});
