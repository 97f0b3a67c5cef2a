import { isIPv4, isIPv6 } from 'node:net';
import { SternaError } from '../base/index.ts';

export interface TcpAddress {
  readonly kind: 'tcp';
  /** A name or an IP address, IPv6 without brackets. */
  readonly host: string;
  /** 0 asks a listener for any free port. */
  readonly port: number;
}

export interface UnixAddress {
  readonly kind: 'unix';
  readonly path: string;
}

export interface FileAddress {
  readonly kind: 'file';
  readonly path: string;
}

/**
 * Where a migration goes to or comes from, or where a control socket is. The same URIs as QEMU's.
 */
export type Address = TcpAddress | UnixAddress | FileAddress;

/** sun_path has 108 bytes with its final zero; a longer name would be cut without a word. */
const UNIX_PATH_BYTES_MAX = 107;
const PORT_MAX = 65_535;

/** `tcp:HOST:PORT`, `tcp:[::1]:PORT`, `unix:PATH` or `file:PATH`. Throws E_CONFIG_INVALID. */
export function parseAddress(text: string): Address {
  const [, scheme, rest] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  if (scheme === 'tcp' && rest !== undefined) return parseTcp(text, rest);
  if ((scheme === 'unix' || scheme === 'file') && rest !== undefined) {
    return { kind: scheme, path: checkPath(text, scheme, rest) };
  }
  throw invalid(text, 'it begins with none of tcp:, unix:, file:');
}

/** As {@link parseAddress}, for places that take TCP only. */
export function parseTcpAddress(text: string): TcpAddress {
  const address = parseAddress(text);
  if (address.kind !== 'tcp') throw invalid(text, 'only tcp: is possible here');
  return address;
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(address: Address): string {
  if (address.kind !== 'tcp') return `${address.kind}:${address.path}`;
  const host = isIPv6(address.host) ? `[${address.host}]` : address.host;
  return `tcp:${host}:${address.port}`;
}

/** True when only this host can reach it: 127.0.0.0/8, ::1 (also as IPv4-mapped), `localhost`. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (name === 'localhost') return true;
  const ipv4 = name.startsWith('::ffff:') ? name.slice('::ffff:'.length) : name;
  if (isIPv4(ipv4)) return ipv4.startsWith('127.');
  // Other spellings (0:0:0:0:0:0:0:1) count as not loopback: the strict side is the safe one.
  return name === '::1';
}

function parseTcp(text: string, rest: string): TcpAddress {
  const colon = rest.lastIndexOf(':');
  if (colon < 0) throw invalid(text, 'the port is missing');
  const portText = rest.slice(colon + 1);
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText) || port > PORT_MAX) {
    throw invalid(text, `the port is not a number from 0 to ${PORT_MAX}`);
  }
  return { kind: 'tcp', host: parseHost(text, rest.slice(0, colon)), port };
}

function parseHost(text: string, host: string): string {
  if (host === '') throw invalid(text, 'the host is missing');
  if (host.startsWith('[') && host.endsWith(']')) {
    const inner = host.slice(1, -1);
    if (!isIPv6(inner)) throw invalid(text, 'there is no IPv6 address between the brackets');
    return inner;
  }
  if (host.includes(':'))
    throw invalid(text, 'an IPv6 address needs brackets, as in tcp:[::1]:4444');
  if (!/^[\w.-]+$/.test(host)) throw invalid(text, 'the host has characters that no name has');
  return host;
}

function checkPath(text: string, scheme: string, path: string): string {
  if (path === '') throw invalid(text, 'the path is missing');
  if (path.includes('\0')) throw invalid(text, 'the path has a zero byte');
  if (scheme === 'unix' && Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX) {
    throw invalid(text, `the path of a socket has at most ${UNIX_PATH_BYTES_MAX} bytes`);
  }
  return path;
}

function invalid(text: string, reason: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', `Not an address, ${reason}: ${JSON.stringify(text)}`, {
    detail: { value: text, expected: 'tcp:HOST:PORT, unix:PATH or file:PATH' },
  });
}
