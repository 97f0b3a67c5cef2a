import { createHash } from 'node:crypto';

/**
 * The name of the migration whose secret (32 of `0-9 a-f`) this is: a UUID of version 8, the head
 * of the SHA-256 of the secret. Names are in logs and records, for anybody to read; who shows the
 * secret behind one belongs to the migration, also where nothing but the name was kept.
 */
export function migrationIdOf(secret: string): string {
  const bytes = createHash('sha256').update(secret, 'latin1').digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
