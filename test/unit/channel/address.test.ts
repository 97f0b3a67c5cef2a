import { expect, test } from 'vitest';
import {
  formatAddress,
  isLoopback,
  parseAddress,
  parseTcpAddress,
} from '../../../src/channel/index.ts';

test.each([
  ['tcp:127.0.0.1:4444', { kind: 'tcp', host: '127.0.0.1', port: 4444 }],
  ['tcp:host-1.example:0', { kind: 'tcp', host: 'host-1.example', port: 0 }],
  ['tcp:[::1]:65535', { kind: 'tcp', host: '::1', port: 65535 }],
  ['unix:/run/a b/qmp.sock', { kind: 'unix', path: '/run/a b/qmp.sock' }],
  ['file:state:1.bin', { kind: 'file', path: 'state:1.bin' }],
])('parseAddress() reads %s, and formatAddress() writes it back', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
  expect(formatAddress(parseAddress(text))).toBe(text);
});

test.each([
  ['', 'begins with none of'],
  ['127.0.0.1:4444', 'begins with none of'],
  ['exec:cat', 'begins with none of'],
  ['TCP:a:1', 'begins with none of'],
  ['tcp:localhost', 'port is missing'],
  ['tcp:localhost:', 'not a number from 0 to 65535'],
  ['tcp:localhost:65536', 'not a number from 0 to 65535'],
  ['tcp:localhost:-1', 'not a number from 0 to 65535'],
  ['tcp:localhost:0x10', 'not a number from 0 to 65535'],
  ['tcp::4444', 'host is missing'],
  ['tcp:::1:4444', 'needs brackets'],
  ['tcp:[127.0.0.1]:1', 'no IPv6 address between the brackets'],
  ['tcp:a b:1', 'characters that no name has'],
  ['tcp:a\n:1', 'characters that no name has'],
  ['unix:', 'path is missing'],
  ['file:', 'path is missing'],
  ['file:a\0b', 'zero byte'],
  [`unix:/${'x'.repeat(107)}`, 'at most 107 bytes'],
])('parseAddress() refuses %j and says why', (text, reason) => {
  expect(() => parseAddress(text)).toThrow(
    expect.objectContaining({
      code: 'E_CONFIG_INVALID',
      message: expect.stringContaining(reason),
    }),
  );
});

test('parseTcpAddress() refuses other kinds', () => {
  expect(parseTcpAddress('tcp:a:1').host).toBe('a');
  expect(() => parseTcpAddress('file:/x')).toThrow('only tcp: is possible here');
});

test.each([
  ['localhost', true],
  ['LOCALHOST', true],
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['::ffff:10.0.0.1', false],
  ['127.example.org', false],
  ['localhost.example.org', false],
])('isLoopback(%s) is %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});
