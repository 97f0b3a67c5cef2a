import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SternaError } from '../../base/index.ts';
import { formatPskLine, TLS_FILES } from '../../channel/index.ts';

export interface KeySetOptions {
  readonly directory: string;
  /** Names and addresses under which sources reach the destinations. */
  readonly hosts: readonly string[];
  /** Common name of the sources' certificate, or identity of the key. */
  readonly peer: string;
  readonly kind: 'x509' | 'psk';
  readonly validDays: number;
  /** Replaces what is there; every agent of the site then needs the new files. */
  readonly force: boolean;
  readonly nowMs: number;
}

/** The key of the authority: QEMU knows no name for it, and no agent reads it. */
const AUTHORITY_KEY_FILE = 'ca-key.pem';
const PSK_FILE = 'keys.psk';

const DAY_MS = 86_400_000;
/** Hosts whose clocks are a little behind accept the certificates too. */
const BACKDATED_MS = 3_600_000;
/** An authority outlives what it signs. */
const AUTHORITY_DAYS = 3650;
const KEY_BYTES = 32;

/**
 * Writes a working set of keys, files that only their owner reads. Resolves with the paths. Rejects
 * with E_CONFIG_INVALID when one of them is there already, and with E_FILE.
 */
export async function writeKeySet(options: KeySetOptions): Promise<readonly string[]> {
  const texts = options.kind === 'psk' ? pskTexts(options) : await certificateTexts(options);
  const files = Object.entries(texts).map(([name, text]) => ({
    path: join(options.directory, name),
    text,
  }));
  const existing = files.find(({ path }) => existsSync(path));
  if (existing !== undefined && !options.force) {
    throw new SternaError('E_CONFIG_INVALID', `${existing.path} exists already`, {
      detail: { expected: 'another --out, or --force to replace the keys' },
    });
  }
  try {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    for (const { path, text } of files) writeSecret(path, text);
  } catch (cause) {
    throw new SternaError('E_FILE', `Cannot write keys to ${options.directory}`, {
      cause,
      detail: { cause: (cause as Error).message },
    });
  }
  return files.map(({ path }) => path);
}

async function certificateTexts(options: KeySetOptions): Promise<Record<string, string>> {
  const { hosts, peer, validDays, nowMs } = options;
  // The library is large, and only this command needs it.
  const { CertificateAuthority } = await import('./certificates.ts');
  const notBefore = new Date(nowMs - BACKDATED_MS);
  const after = (days: number) => new Date(nowMs + days * DAY_MS);
  const authority = await CertificateAuthority.create({
    commonName: 'Sterna migration CA',
    notBefore,
    notAfter: after(Math.max(AUTHORITY_DAYS, validDays)),
  });
  const [commonName = 'localhost'] = hosts;
  const notAfter = after(validDays);
  const server = await authority.issue({ commonName, usage: 'server', hosts, notBefore, notAfter });
  const client = await authority.issue({ commonName: peer, usage: 'client', notBefore, notAfter });
  return {
    [TLS_FILES.authority]: authority.own.certificate,
    [AUTHORITY_KEY_FILE]: authority.own.key,
    [TLS_FILES.serverCertificate]: server.certificate,
    [TLS_FILES.serverKey]: server.key,
    [TLS_FILES.clientCertificate]: client.certificate,
    [TLS_FILES.clientKey]: client.key,
  };
}

function pskTexts({ peer }: KeySetOptions): Record<string, string> {
  return { [PSK_FILE]: formatPskLine({ identity: peer, key: randomBytes(KEY_BYTES) }) };
}

function writeSecret(path: string, text: string): void {
  const temporary = `${path}.new`;
  // Never readable by others, not even for the moment between creation and chmod; and a file that
  // is there keeps its old mode, so it is replaced, not written.
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
}
