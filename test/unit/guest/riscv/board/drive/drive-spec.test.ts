import { expect, test } from 'vitest';
import { parseDriveSpec } from '../../../../../../src/guest/riscv/board/index.ts';

test.each([
  ['file=a.img,format=raw', { file: 'a.img', isReadOnly: false, serial: '' }],
  ['format=raw,file=/x/y,readonly=on', { file: '/x/y', isReadOnly: true, serial: '' }],
  ['file=a,,b=c,format=raw,readonly=off', { file: 'a,b=c', isReadOnly: false, serial: '' }],
  ['file=a,,,,b,,,format=raw', { file: 'a,,b,', isReadOnly: false, serial: '' }],
  ['file=a,format=raw,if=virtio,serial=d 1', { file: 'a', isReadOnly: false, serial: 'd 1' }],
])('parseDriveSpec() reads %s', (text, expected) => {
  expect(parseDriveSpec(text)).toEqual({ format: 'raw', ...expected });
});

test.each([
  ['', /"" of a drive is not KEY=VALUE/],
  ['a.img', /"a.img" of a drive is not KEY=VALUE/],
  ['format=raw', /needs a file/],
  ['file=,format=raw', /needs a file/],
  ['file=a', /needs its format/],
  ['file=a,format=qcow2', /Format "qcow2"/],
  ['file=a,format=raw,readonly=yes', /readonly is "yes"/],
  ['file=a,format=raw,cache=none', /A drive has no "cache"/],
  ['file=a,file=b,format=raw', /file twice/],
  ['file=a,format=raw,', /not KEY=VALUE/],
  ['file=a,format=raw,if=ide', /interface "ide"/],
  ['file=a,format=raw,serial=123456789012345678901', /serial/],
])('parseDriveSpec() refuses %j', (text, message) => {
  expect(() => parseDriveSpec(text)).toThrow(
    expect.objectContaining({
      code: 'E_CONFIG_INVALID',
      message: expect.stringMatching(message),
      detail: expect.objectContaining({ drive: text, expected: expect.any(String) }),
    }),
  );
});
