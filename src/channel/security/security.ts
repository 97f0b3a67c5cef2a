/**
 * Which keys an agent uses, as plain data: it crosses to the migration worker, which reads the
 * files when it listens or connects. So a renewed certificate holds from the next migration on.
 */
export interface SecuritySettings {
  /** Certificates under QEMU's file names (`TLS_FILES`). */
  readonly tlsDirectory?: string;
  /** Lines `identity:hexkey`, as QEMU and GnuTLS have them. */
  readonly pskFile?: string;
  /** The line that a source uses; by default the first one. */
  readonly pskIdentity?: string;
  /** The name that the destination's certificate must have, instead of the host of the address. */
  readonly tlsHostname?: string;
  /** Who may be at the other end; everyone with a valid key when it is empty. */
  readonly allowedPeers?: readonly string[];
  /** Addresses that other hosts reach may be used without keys. */
  readonly insecure?: boolean;
}

/** Keys that were read and checked, for one side of connections. */
export type Security = NoSecurity | X509Security | PskSecurity;

/** Anyone may read and write: for the loopback, or said out loud. */
export interface NoSecurity {
  readonly kind: 'none';
}

export const NO_SECURITY: NoSecurity = { kind: 'none' };

/** Both sides show a certificate of the same authority. PEM texts. */
export interface X509Security {
  readonly kind: 'x509';
  readonly authority: string;
  readonly revocations: string | undefined;
  readonly certificate: string;
  readonly key: string;
  readonly hostname: string | undefined;
  readonly allowedPeers: readonly string[];
}

/** Both sides know the same key. The first one is the one that a connecting side uses. */
export interface PskSecurity {
  readonly kind: 'psk';
  readonly keys: readonly PreSharedKey[];
  readonly allowedPeers: readonly string[];
}

export interface PreSharedKey {
  readonly identity: string;
  readonly key: Uint8Array;
}

/** QEMU's names of the files in `--tls-dir`. */
export const TLS_FILES = {
  authority: 'ca-cert.pem',
  revocations: 'ca-crl.pem',
  serverCertificate: 'server-cert.pem',
  serverKey: 'server-key.pem',
  clientCertificate: 'client-cert.pem',
  clientKey: 'client-key.pem',
} as const;

/** True when the settings name keys; otherwise connections are plain. */
export function isProtected({ tlsDirectory, pskFile }: SecuritySettings): boolean {
  return tlsDirectory !== undefined || pskFile !== undefined;
}
