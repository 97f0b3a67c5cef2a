import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Security } from '../../src/channel/index.ts';
import { TLS_FILES } from '../../src/channel/index.ts';
import {
  CertificateAuthority,
  type CertificateRequest,
  type CertifiedKey,
} from '../../src/control/keys/certificates.ts';

const DAY_MS = 86_400_000;

/** From yesterday until tomorrow, or what `shiftDays` makes of it. */
export function validity(shiftDays = 0): Pick<CertificateRequest, 'notBefore' | 'notAfter'> {
  const nowMs = Date.now() + shiftDays * DAY_MS;
  return { notBefore: new Date(nowMs - DAY_MS), notAfter: new Date(nowMs + DAY_MS) };
}

export function newAuthority(commonName = 'Test CA'): Promise<CertificateAuthority> {
  return CertificateAuthority.create({ commonName, ...validity() });
}

export function serverKey(
  authority: CertificateAuthority,
  changes: Partial<CertificateRequest> = {},
): Promise<CertifiedKey> {
  const hosts = ['localhost', '127.0.0.1', '::1'];
  const request = { commonName: 'localhost', usage: 'server' as const, hosts, ...validity() };
  return authority.issue({ ...request, ...changes });
}

export function clientKey(
  authority: CertificateAuthority,
  changes: Partial<CertificateRequest> = {},
): Promise<CertifiedKey> {
  const request = { commonName: 'source-1', usage: 'client' as const, ...validity() };
  return authority.issue({ ...request, ...changes });
}

/** What `loadSecurity` makes of the files, without the files. */
export function x509Security(
  authority: CertificateAuthority,
  own: CertifiedKey,
  more: { hostname?: string; allowedPeers?: readonly string[]; revocations?: string } = {},
): Security {
  return {
    kind: 'x509',
    authority: authority.own.certificate,
    revocations: more.revocations,
    ...own,
    hostname: more.hostname,
    allowedPeers: more.allowedPeers ?? [],
  };
}

export function pskSecurity(
  identity: string,
  fill: number,
  allowedPeers: readonly string[] = [],
): Security {
  return { kind: 'psk', keys: [{ identity, key: new Uint8Array(32).fill(fill) }], allowedPeers };
}

export interface TlsDirectoryParts {
  readonly authority: CertificateAuthority;
  readonly server?: CertifiedKey;
  readonly client?: CertifiedKey;
  readonly revocations?: string;
}

/** Writes a `--tls-dir`; returns its path. */
export function writeTlsDirectory(directory: string, parts: TlsDirectoryParts): string {
  const { authority, server, client, revocations } = parts;
  const files = {
    [TLS_FILES.authority]: authority.own.certificate,
    [TLS_FILES.serverCertificate]: server?.certificate,
    [TLS_FILES.serverKey]: server?.key,
    [TLS_FILES.clientCertificate]: client?.certificate,
    [TLS_FILES.clientKey]: client?.key,
    [TLS_FILES.revocations]: revocations,
  };
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    if (text !== undefined) writeFileSync(join(directory, name), text, { mode: 0o600 });
  }
  return directory;
}
