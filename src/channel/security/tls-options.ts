import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, type TLSSocketOptions } from 'node:tls';
import type { PskSecurity, Security, X509Security } from './security.ts';

/** Keys that were loaded. */
export type Protection = Exclude<Security, { readonly kind: 'none' }>;

/**
 * AES first: with the instructions of today's processors it is the fastest, and 128 bits are enough
 * (docs/adr/0011-channel-security.md). The others are for peers that have only them.
 */
const X509_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
/** OpenSSL gives a key from a callback the hash SHA-256, which leaves this one and ChaCha20. */
const PSK_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';

const VERSION = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

/** What both ends of a connection ask of TLS. The secure context is made from it. */
export function contextOptions(security: Protection) {
  if (security.kind === 'psk') return { ...VERSION, ciphers: PSK_CIPHERS };
  const { authority, certificate, key, revocations } = security;
  return {
    ...VERSION,
    ciphers: X509_CIPHERS,
    ca: authority,
    cert: certificate,
    key,
    ...(revocations === undefined ? {} : { crl: revocations }),
  };
}

/** For the side that connects: the peer's certificate must fit the host, or prove the same key. */
export function connectOptions(security: Protection, host: string): ConnectionOptions {
  const common = { ...contextOptions(security), rejectUnauthorized: true };
  return security.kind === 'psk'
    ? { ...common, ...connectingByKey(security) }
    : { ...common, ...connectingByCertificate(security, host) };
}

function connectingByCertificate({ hostname }: X509Security, host: string): ConnectionOptions {
  const expected = hostname ?? host;
  return {
    // The name of the server in the first message must not be an address (RFC 6066).
    servername: isIP(expected) === 0 ? expected : '',
    checkServerIdentity: (_name, certificate) => checkServerIdentity(expected, certificate),
  };
}

function connectingByKey({ keys: [own] }: PskSecurity): ConnectionOptions {
  return {
    // The file has at least one key; without it the handshake fails.
    pskCallback: () => (own === undefined ? null : { psk: own.key, identity: own.identity }),
    // Only asked when the peer showed a certificate instead: that it may have one is no proof.
    checkServerIdentity: () => new Error('The peer did not prove the pre-shared key'),
  };
}

/**
 * For the side that accepts. `identified` hears which identity the peer claims, before its proof.
 */
export function acceptOptions(
  security: Protection,
  identified: (identity: string) => void,
): TLSSocketOptions & Pick<ConnectionOptions, 'pskCallback'> {
  // A certificate that does not hold ends no handshake: the peer is then told why, by name.
  if (security.kind === 'x509') return { isServer: true, requestCert: true };
  const keys = new Map(security.keys.map(({ identity, key }) => [identity, key]));
  const find = (_socket: unknown, identity: string) => {
    identified(identity);
    return keys.get(identity) ?? null;
  };
  // The types of Node know the callback of a client only; a server's gets socket and identity.
  return { isServer: true, pskCallback: find as unknown as ConnectionOptions['pskCallback'] & {} };
}
