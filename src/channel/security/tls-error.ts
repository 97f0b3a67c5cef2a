import { type ErrorCode, SternaError } from '../../base/index.ts';

/** What OpenSSL and Node call a failure -> what it means for the one who reads it. */
const MEANINGS: readonly (readonly [RegExp, ErrorCode, string])[] = [
  [/^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/, 'E_TLS_CERTIFICATE', 'certificate is not valid today'],
  [/^CERT_REVOKED$/, 'E_TLS_CERTIFICATE', 'certificate was revoked'],
  [/^CRL_|_CRL$/, 'E_TLS_CERTIFICATE', 'certificate has no list of revocations that holds'],
  [
    /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_SIGNATURE|CERT_UNTRUSTED|INVALID_CA)/,
    'E_TLS_UNKNOWN_CA',
    'certificate is not from the CA of this side',
  ],
  [/^(CERT_|INVALID_PURPOSE|HOSTNAME_)/, 'E_TLS_CERTIFICATE', 'certificate does not hold'],
  [/^ERR_TLS_CERT_ALTNAME/, 'E_TLS_HOSTNAME', 'certificate has another name'],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|RECORD_LAYER|UNEXPECTED_MESSAGE/,
    'E_TLS_EXPECTED',
    'does not speak TLS',
  ],
  [/ALERT_UNKNOWN_CA/, 'E_TLS_UNKNOWN_CA', 'does not know the CA of the certificate shown to it'],
  [
    /ALERT_(CERTIFICATE|BAD_CERT|UNSUPPORTED_CERT)/,
    'E_TLS_CERTIFICATE',
    'refuses the certificate shown to it',
  ],
];

/** A failed handshake or check, in our words. `name` is the channel's. */
export function tlsError(
  name: string,
  thrown: unknown,
  kind: 'x509' | 'psk' = 'x509',
): SternaError {
  const { code = '', message = '' } = thrown as NodeJS.ErrnoException;
  const meaning = MEANINGS.find(([pattern]) => pattern.test(code));
  // Who offers a key cares for no certificate: that one came at all is what is wrong.
  const found = kind === 'psk' && meaning?.[1] !== 'E_TLS_EXPECTED' ? undefined : meaning;
  const [, ours, text] = found ?? [undefined, 'E_TLS_HANDSHAKE' as const, 'has other keys'];
  return new SternaError(ours, `Peer ${name}: ${text}`, {
    cause: thrown,
    detail: { systemCode: code, cause: firstLine(message) },
  });
}

/** True for what TLS says, also after the handshake: the peer's last word on it is an alert. */
export function isTlsAlert(thrown: unknown): boolean {
  return /^ERR_SSL_.*ALERT/.test((thrown as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** True for an error of TLS, and not of the connection below it. */
export function isTlsFailure(thrown: unknown): boolean {
  const code = (thrown as NodeJS.ErrnoException | undefined)?.code ?? '';
  return /^ERR_(SSL|TLS)_/.test(code) || MEANINGS.some(([pattern]) => pattern.test(code));
}

/** OpenSSL's texts carry the address of a thread and a place in its source. */
function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.replace(/^[0-9A-F]+:error:/, '') ?? '';
}
