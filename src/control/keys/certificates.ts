import { webcrypto } from 'node:crypto';
// The library registers its parts by it, and must find it when it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A certificate and its key, as PEM texts. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is made for. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly usage: 'server' | 'client';
  /** Names and addresses that it is valid for, besides its common name. */
  readonly hosts?: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export type AuthorityRequest = Pick<CertificateRequest, 'commonName' | 'notBefore' | 'notAfter'>;

/** P-256: half the time of RSA-2048 in a handshake, and every TLS 1.3 has it. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Signs the certificates of one site. */
export class CertificateAuthority {
  /** Its own certificate and key. */
  readonly own: CertifiedKey;
  private readonly certificate: x509.X509Certificate;
  private readonly keys: webcrypto.CryptoKeyPair;

  private constructor(
    own: CertifiedKey,
    certificate: x509.X509Certificate,
    keys: webcrypto.CryptoKeyPair,
  ) {
    this.own = own;
    this.certificate = certificate;
    this.keys = keys;
  }

  /** A new one, with a key of its own. */
  static async create(request: AuthorityRequest): Promise<CertificateAuthority> {
    const keys = await newKeys();
    const { commonName, notBefore, notAfter } = request;
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: nameOf(commonName),
      notBefore,
      notAfter,
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        // It signs hosts and no further authorities.
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateAuthority(await pemOf(certificate, keys), certificate, keys);
  }

  async issue(request: CertificateRequest): Promise<CertifiedKey> {
    const { commonName, usage, hosts = [], notBefore, notAfter } = request;
    const keys = await newKeys();
    const names = hosts.map((value) => ({ type: isAddress(value) ? 'ip' : 'dns', value }) as const);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: nameOf(commonName),
      issuer: this.certificate.subject,
      notBefore,
      notAfter,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
        ]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        await x509.AuthorityKeyIdentifierExtension.create(this.certificate),
      ],
    });
    return pemOf(certificate, keys);
  }

  /** A list of revocations with these certificates, PEM. */
  async revoke(certificates: readonly string[], now: Date, nextUpdate: Date): Promise<string> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.certificate.subject,
      thisUpdate: now,
      nextUpdate,
      entries: certificates.map((pem) => ({
        serialNumber: new x509.X509Certificate(pem).serialNumber,
        revocationDate: now,
      })),
      signingAlgorithm: ALGORITHM,
      signingKey: this.keys.privateKey,
    });
    // The library's own label is one that OpenSSL does not know.
    return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`;
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf(
  certificate: x509.X509Certificate,
  { privateKey }: webcrypto.CryptoKeyPair,
): Promise<CertifiedKey> {
  const raw = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(raw, 'PRIVATE KEY')}\n`,
  };
}

/** As data, not as text: a name may have commas. */
function nameOf(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}
