import { resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { describe, expect, test } from 'vitest';
import {
  collect,
  parseCacheSize,
  parseInteger,
  parseMigrationUri,
  parseName,
  parseNumber,
  parseQmpAddress,
  parseRam,
  parseUuid,
} from '../../../src/cli/arguments.ts';

interface Table {
  readonly parse: (text: string) => unknown;
  readonly accepted: readonly (readonly [string, unknown])[];
  readonly refused: readonly string[];
}

const uuid = '6f2f2c50-6ad4-4a0e-9d4e-8f1f5a1c2b3d';

const TABLES: Readonly<Record<string, Table>> = {
  parseRam: {
    parse: parseRam,
    accepted: [
      ['16M', 2 ** 24],
      ['256M', 2 ** 28],
      ['1.5G', 1.5 * 2 ** 30],
      ['16G', 2 ** 34],
    ],
    refused: ['15M', '17G', '', 'lots', '-64M', '16777217', '64X'],
  },
  parseCacheSize: {
    parse: parseCacheSize,
    accepted: [
      ['4K', 4096],
      ['64M', 2 ** 26],
    ],
    refused: ['2K', '65M', '0', '3000'],
  },
  'parseInteger(0, 10)': {
    parse: parseInteger(0, 10),
    accepted: [
      ['0', 0],
      ['10', 10],
    ],
    refused: ['11', '-1', '1.5', '', '1e1', ' 1', '0x1'],
  },
  'parseNumber(0, 10)': {
    parse: parseNumber(0, 10),
    accepted: [
      ['0', 0],
      ['2.5', 2.5],
    ],
    refused: ['10.1', '-1', 'NaN', '', '1e1'],
  },
  parseName: {
    parse: parseName,
    accepted: [
      ['vm1', 'vm1'],
      ['a.b-c_d', 'a.b-c_d'],
    ],
    refused: ['', '.', '..', '../x', 'a/b', '-x', 'a b', 'x'.repeat(129), 'a\nb'],
  },
  parseUuid: {
    parse: parseUuid,
    accepted: [
      [uuid, uuid],
      [uuid.toUpperCase(), uuid],
    ],
    refused: ['', uuid.slice(1), `${uuid}0`, uuid.replaceAll('-', '')],
  },
  parseQmpAddress: {
    parse: parseQmpAddress,
    accepted: [
      ['unix:/run/q.sock', 'unix:/run/q.sock'],
      ['unix:q.sock', `unix:${resolve('q.sock')}`],
      ['tcp:127.0.0.1:0', 'tcp:127.0.0.1:0'],
      ['tcp:[::1]:4444', 'tcp:[::1]:4444'],
    ],
    refused: [
      '',
      'q.sock',
      'unix:',
      'file:/x',
      'tcp:4444',
      'tcp:host:',
      'tcp:host:65536',
      'tcp:host:x',
    ],
  },
  parseMigrationUri: {
    parse: parseMigrationUri,
    accepted: [
      ['tcp:host:4444', 'tcp:host:4444'],
      ['file:guest', `file:${resolve('guest')}`],
    ],
    refused: ['unix:/x', 'exec:cat', 'host:4444'],
  },
};

describe.each(Object.entries(TABLES))('%s', (_name, { parse, accepted, refused }) => {
  test.each(accepted)('accepts %s', (text, value) => {
    expect(parse(text)).toBe(value);
  });

  test.each(refused)('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(InvalidArgumentError);
  });
});

test('collect() keeps every value of a repeated option', () => {
  const parse = collect(parseQmpAddress);
  expect(parse('tcp:h:2', parse('tcp:h:1'))).toEqual(['tcp:h:1', 'tcp:h:2']);
});
