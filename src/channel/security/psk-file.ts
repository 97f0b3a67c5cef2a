import { SternaError } from '../../base/index.ts';
import type { PreSharedKey } from './security.ts';

/** Shorter keys could be guessed offline from one recorded handshake. psktool makes 32 bytes. */
const KEY_BYTES_MIN = 16;
const KEY_BYTES_MAX = 64;
/** What RFC 4279 asks every implementation to take. */
const IDENTITY_BYTES_MAX = 128;

/**
 * Lines `identity:hexkey`; empty lines and those that begin with # are left out. Throws
 * E_CONFIG_INVALID that names the line, never the key.
 */
export function parsePskFile(text: string, path: string): readonly PreSharedKey[] {
  const keys: PreSharedKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const key = parseLine(line, (reason) => invalid(`${path} line ${index + 1}: ${reason}`));
    if (keys.some(({ identity }) => identity === key.identity)) {
      throw invalid(`${path} has two keys of identity ${key.identity}`);
    }
    keys.push(key);
  }
  if (keys.length === 0) throw invalid(`${path} has no key`);
  return keys;
}

/** The inverse of {@link parsePskFile}. */
export function formatPskLine({ identity, key }: PreSharedKey): string {
  return `${identity}:${Buffer.from(key).toString('hex')}\n`;
}

function parseLine(line: string, wrong: (reason: string) => SternaError): PreSharedKey {
  const colon = line.lastIndexOf(':');
  const identity = line.slice(0, Math.max(colon, 0));
  const hex = line.slice(colon + 1);
  if (identity === '') throw wrong('the identity is missing');
  if (Buffer.byteLength(identity) > IDENTITY_BYTES_MAX) {
    throw wrong(`the identity has more than ${IDENTITY_BYTES_MAX} bytes`);
  }
  if (!/^([0-9a-f]{2})+$/i.test(hex)) throw wrong('the key is not hexadecimal');
  const key = Buffer.from(hex, 'hex');
  if (key.length < KEY_BYTES_MIN || key.length > KEY_BYTES_MAX) {
    throw wrong(`the key has not ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes`);
  }
  return { identity, key: Uint8Array.from(key) };
}

function invalid(message: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, {
    detail: { expected: 'lines identity:hexkey, as of `sterna keygen --psk`' },
  });
}
