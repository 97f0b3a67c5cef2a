import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { migrationIdOf } from '../../../src/protocol/index.ts';

const SECRET = '0123456789abcdef0123456789abcdef';

test('migrationIdOf() is a UUID of version 8: the head of the SHA-256 of the secret', () => {
  // By another implementation: coreutils.
  const digest = execFileSync('sha256sum', { input: SECRET, encoding: 'utf8' });
  const id = migrationIdOf(SECRET);
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const withoutMarks = (hex: string) =>
    `${hex.slice(0, 12)}.${hex.slice(13, 16)}.${hex.slice(17, 32)}`;
  expect(withoutMarks(id.replaceAll('-', ''))).toBe(withoutMarks(digest));
});

test('migrationIdOf() has another name for another secret', () => {
  expect(migrationIdOf(SECRET.replace('0', '1'))).not.toBe(migrationIdOf(SECRET));
});
