import { expect, test } from 'vitest';
import { parseSerialSpec } from '../../../../../../src/guest/riscv/board/index.ts';

test.each([
  ['stdio', { kind: 'stdio' }],
  ['null', { kind: 'null' }],
  ['unix:/run/guest.sock', { kind: 'unix', path: '/run/guest.sock' }],
  ['file:out:put.log', { kind: 'file', path: 'out:put.log' }],
  ['tcp:localhost:4444', { kind: 'tcp', host: 'localhost', port: 4444 }],
  ['tcp:[::1]:65535', { kind: 'tcp', host: '::1', port: 65535 }],
  ['unix:/a,,b', { kind: 'unix', path: '/a,b' }],
  ['unix:/a,server=off', { kind: 'unix', path: '/a' }],
  ['unix:/a,server=on', { kind: 'unix', path: '/a', server: { waits: true } }],
  ['unix:/a,wait=off,server=on', { kind: 'unix', path: '/a', server: { waits: false } }],
  [
    'tcp:[::1]:4444,server=on,wait=on',
    { kind: 'tcp', host: '::1', port: 4444, server: { waits: true } },
  ],
])('parseSerialSpec() reads %s', (text, expected) => {
  expect(parseSerialSpec(text)).toEqual(expected);
});

test.each([
  ['', /No serial line ends at ""/],
  ['STDIO', /No serial line/],
  ['pty', /No serial line ends at "pty"/],
  ['unix:', /no path/],
  ['file:/a,server=on', /to a file has no options/],
  ['unix:,server=on', /no path/],
  ['unix:/a,server', /no "server"/],
  ['unix:/a,server=on,nowait', /no "nowait"/],
  ['unix:/a,server=yes', /no "server=yes"/],
  ['unix:/a,server=on,server=on', /server twice/],
  ['unix:/a,wait=off', /wait without server=on/],
  ['unix:/a,server=off,wait=on', /wait without server=on/],
  ['tcp:host:1,delay=on', /no "delay=on"/],
  ['tcp:host,server=on', /no host and port/],
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
