import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { SternaError } from '../../base/index.ts';
import { parsePskFile } from './psk-file.ts';
import {
  NO_SECURITY,
  type PskSecurity,
  type Security,
  type SecuritySettings,
  TLS_FILES,
  type X509Security,
} from './security.ts';

/** The side of a connection: which of the two certificates it shows. */
export type SecurityRole = 'accept' | 'connect';

/** Write by the group, anything by others. A group may read: it can be how a site gives the key. */
const FORBIDDEN_MODE = 0o027;
/** Larger than any certificate or list of keys; what is there instead is not read. */
const FILE_BYTES_MAX = 2 ** 20;

/**
 * Reads and checks the keys for one side. Throws E_CONFIG_INVALID that names the file and the
 * remedy.
 */
export function loadSecurity(settings: SecuritySettings, role: SecurityRole): Security {
  const { tlsDirectory, pskFile, allowedPeers = [] } = settings;
  if (tlsDirectory !== undefined && pskFile !== undefined) {
    throw invalid('Certificates and a pre-shared key exclude each other', 'one of the two');
  }
  if (tlsDirectory !== undefined) return loadX509(tlsDirectory, settings, role);
  if (pskFile !== undefined) return loadPsk(pskFile, settings);
  if (allowedPeers.length > 0) {
    throw invalid(
      'Without keys no peer has a name that could be allowed',
      '--tls-dir or --psk-file',
    );
  }
  return NO_SECURITY;
}

function loadX509(
  directory: string,
  { tlsHostname, allowedPeers = [] }: SecuritySettings,
  role: SecurityRole,
): X509Security {
  const path = (file: string) => join(directory, file);
  const accepts = role === 'accept';
  const certificatePath = path(accepts ? TLS_FILES.serverCertificate : TLS_FILES.clientCertificate);
  const keyPath = path(accepts ? TLS_FILES.serverKey : TLS_FILES.clientKey);
  const security: X509Security = {
    kind: 'x509',
    authority: readPem(path(TLS_FILES.authority)),
    revocations: readOptional(path(TLS_FILES.revocations)),
    certificate: readPem(certificatePath),
    key: readSecret(keyPath),
    hostname: tlsHostname,
    allowedPeers: checkNames(allowedPeers),
  };
  checkPair(security, certificatePath, keyPath);
  return security;
}

/** What would otherwise show at the first connection, as an error that names no file. */
function checkPair(security: X509Security, certificatePath: string, keyPath: string): void {
  const { authority, certificate, key, revocations } = security;
  try {
    createSecureContext({ ca: authority, cert: certificate, key });
  } catch (cause) {
    throw invalid(`${certificatePath} and ${keyPath} do not belong together`, 'PEM files', cause);
  }
  try {
    if (revocations !== undefined) createSecureContext({ ca: authority, crl: revocations });
  } catch (cause) {
    throw invalid(`${TLS_FILES.revocations} is not a list of revocations`, 'a PEM file', cause);
  }
  const { validTo } = new X509Certificate(certificate);
  if (Date.parse(validTo) < Date.now()) {
    throw invalid(`${certificatePath} has expired`, 'a renewed certificate', { validTo });
  }
}

function loadPsk(path: string, { pskIdentity, allowedPeers = [] }: SecuritySettings): PskSecurity {
  const keys = parsePskFile(readSecret(path), path);
  const own = pskIdentity ?? keys[0]?.identity;
  const first = keys.find(({ identity }) => identity === own);
  if (first === undefined) {
    throw invalid(`${path} has no key of identity ${own}`, 'an identity that the file has');
  }
  const others = keys.filter((key) => key !== first);
  return { kind: 'psk', keys: [first, ...others], allowedPeers: checkNames(allowedPeers) };
}

/** OpenSSL would take a name that begins with a dot for all names below it. */
function checkNames(names: readonly string[]): readonly string[] {
  const wrong = names.find((name) => name === '' || name.startsWith('.') || name.includes('\0'));
  if (wrong === undefined) return names;
  throw invalid(`No peer can be called ${JSON.stringify(wrong)}`, 'a whole name');
}

function readPem(path: string): string {
  const text = readText(path);
  if (!text.includes('-----BEGIN ')) throw invalid(`${path} is not a PEM file`, '-----BEGIN ...');
  return text;
}

function readSecret(path: string): string {
  const text = readText(path);
  const mode = statSync(path).mode & 0o777;
  if ((mode & FORBIDDEN_MODE) !== 0) {
    throw invalid(`Others could use the key in ${path}`, `chmod 600 ${path}`, {
      mode: mode.toString(8),
    });
  }
  return text;
}

function readOptional(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readPem(path);
}

function readText(path: string): string {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) throw new Error('it is too large');
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw invalid(`Cannot read ${path}`, 'a file of `sterna keygen --out DIR`', cause);
  }
}

function invalid(message: string, expected: string, cause?: unknown): SternaError {
  const why = cause instanceof Error ? { cause: cause.message } : (cause ?? {});
  return new SternaError('E_CONFIG_INVALID', message, { cause, detail: { expected, ...why } });
}
