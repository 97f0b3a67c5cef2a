import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadSecurity } from '../../../src/channel/index.ts';
import { type KeySetOptions, writeKeySet } from '../../../src/control/keys/key-set.ts';
import { inTemporaryDirectory } from '../../support/channel-harness.ts';

const DAY_MS = 86_400_000;

function options(directory: string, changes: Partial<KeySetOptions> = {}): KeySetOptions {
  return {
    directory: join(directory, 'keys'),
    hosts: ['host.example', '192.0.2.7', '::1'],
    peer: 'source, one',
    kind: 'x509',
    validDays: 30,
    force: false,
    nowMs: Date.now(),
    ...changes,
  };
}

test('writeKeySet() makes certificates that both sides can load, for the hosts and days asked', () =>
  inTemporaryDirectory(async (directory) => {
    const wanted = options(directory);
    const paths = await writeKeySet(wanted);
    for (const path of paths) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(wanted.directory).mode & 0o777).toBe(0o700);
    const settings = { tlsDirectory: wanted.directory };
    const server = loadSecurity(settings, 'accept');
    const client = loadSecurity(settings, 'connect');
    if (server.kind !== 'x509' || client.kind !== 'x509') return expect.unreachable();
    const authority = new X509Certificate(server.authority);
    const [ofServer, ofClient] = [server, client].map(
      ({ certificate }) => new X509Certificate(certificate),
    );
    expect(ofServer?.checkHost('host.example')).toBe('host.example');
    expect([ofServer?.checkIP('192.0.2.7'), ofServer?.checkIP('::1')]).toEqual([
      '192.0.2.7',
      '::1',
    ]);
    expect(ofClient?.toLegacyObject().subject.CN).toBe('source, one');
    for (const certificate of [ofServer, ofClient]) {
      expect(certificate?.verify(authority.publicKey)).toBe(true);
      const leftMs = Date.parse(certificate?.validTo ?? '') - wanted.nowMs;
      expect(Math.round(leftMs / DAY_MS)).toBe(30);
    }
  }));

test('writeKeySet() replaces nothing unless it is forced to', () =>
  inTemporaryDirectory(async (directory) => {
    const wanted = options(directory, { kind: 'psk' });
    const [path = ''] = await writeKeySet(wanted);
    const before = readFileSync(path, 'utf8');
    expect(before).toMatch(/^source, one:[0-9a-f]{64}\n$/);
    await expect(writeKeySet(wanted)).rejects.toMatchObject({ code: 'E_CONFIG_INVALID' });
    expect(readFileSync(path, 'utf8')).toBe(before);
    await writeKeySet({ ...wanted, force: true });
    expect(readFileSync(path, 'utf8')).not.toBe(before);
    expect(readdirSync(wanted.directory)).toEqual(['keys.psk']);
  }));
