import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { SternaError } from '../../base/index.ts';
import { tlsError } from './tls-error.ts';
import { verifyErrorOf } from './tls-handle.ts';
import type { Protection } from './tls-options.ts';

/** Who is at the other end, once the handshake is over; `claimed` is the identity of its key. */
export interface PeerUnderTest {
  readonly name: string;
  readonly socket: TLSSocket;
  readonly claimed: string | undefined;
}

/** The peer's name, for logs; or why it is nobody that may be here. */
export function checkPeer(security: Protection, peer: PeerUnderTest): string | SternaError {
  return security.kind === 'psk'
    ? checkKey(security.allowedPeers, peer)
    : checkCertificate(security.allowedPeers, peer);
}

function checkKey(
  allowed: readonly string[],
  { name, socket, claimed }: PeerUnderTest,
): string | SternaError {
  // In TLS 1.3 a key that both know is a resumed session: true only when its proof was checked.
  if (!socket.isSessionReused()) {
    return new SternaError('E_TLS_HANDSHAKE', `Peer ${name}: did not prove the pre-shared key`);
  }
  // A side that connects knows only that the peer has the key that it offered.
  if (allowed.length === 0 || (claimed !== undefined && allowed.includes(claimed))) {
    return claimed ?? 'the holder of the key';
  }
  return notAllowed(name, claimed ?? 'nobody');
}

function checkCertificate(
  allowed: readonly string[],
  { name, socket }: PeerUnderTest,
): string | SternaError {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    return new SternaError('E_TLS_HANDSHAKE', `Peer ${name}: showed no certificate`);
  }
  const wrong = verifyErrorOf(socket);
  if (wrong !== undefined) return tlsError(name, wrong);
  const subject = commonName(certificate.subject);
  // OpenSSL compares, whole names only: no text of a stranger's certificate is parsed here. The
  // common name counts too, since QEMU's client certificates have no other.
  const fits = (wanted: string) =>
    isIP(wanted) === 0
      ? certificate.checkHost(wanted, { subject: 'always', wildcards: false }) !== undefined
      : certificate.checkIP(wanted) !== undefined;
  if (allowed.length === 0 || allowed.some(fits)) return subject;
  return notAllowed(name, subject);
}

/** For people; nothing is decided by it. */
function commonName(subject: string | undefined): string {
  return /^CN=(.*)$/m.exec(subject ?? '')?.[1] ?? 'without a name';
}

function notAllowed(name: string, identity: string): SternaError {
  return new SternaError('E_TLS_PEER_NOT_ALLOWED', `Peer ${name} is not among the allowed ones`, {
    detail: { identity },
  });
}
