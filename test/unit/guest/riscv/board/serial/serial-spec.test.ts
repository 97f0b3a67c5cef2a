import { expect, test } from 'vitest';
import { parseSerialSpec } from '../../../../../../src/guest/riscv/board/index.ts';

test.each([
  ['stdio', { kind: 'stdio' }],
  ['null', { kind: 'null' }],
  ['unix:/run/guest.sock', { kind: 'unix', path: '/run/guest.sock' }],
  ['file:out:put.log', { kind: 'file', path: 'out:put.log' }],
  ['tcp:localhost:4444', { kind: 'tcp', host: 'localhost', port: 4444 }],
  ['tcp:[::1]:65535', { kind: 'tcp', host: '::1', port: 65535 }],
])('parseSerialSpec() reads %s', (text, expected) => {
  expect(parseSerialSpec(text)).toEqual(expected);
});

test.each([
  ['', /No serial line ends at ""/],
  ['STDIO', /No serial line/],
  ['pty', /No serial line ends at "pty"/],
  ['unix:', /no path/],
  ['unix:/a,server=on', /no options/],
  ['tcp:4444', /no host and port/],
  ['tcp::4444', /no host and port/],
  ['tcp:host', /no host and port/],
  ['tcp:host:0', /Port 0/],
  ['tcp:host:65536', /Port 65536/],
  ['tcp:host:99x', /no host and port/],
])('parseSerialSpec() refuses %j', (text, message) => {
  expect(() => parseSerialSpec(text)).toThrow(
    expect.objectContaining({
      code: 'E_CONFIG_INVALID',
      message: expect.stringMatching(message),
      detail: expect.objectContaining({ serial: text }),
    }),
  );
});
