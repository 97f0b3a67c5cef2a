import { expect, test } from 'vitest';
import { CONSOLE_BYTES, ConsoleDevice } from '../../../src/guest/console-device.ts';

test('ConsoleDevice.text() keeps the newest characters when the ring is full', () => {
  const device = new ConsoleDevice(new SharedArrayBuffer(CONSOLE_BYTES));
  expect(device.text()).toBe('');
  device.print('A');
  device.print('B');
  expect(device.text()).toBe('AB');
  for (let i = 0; i < CONSOLE_BYTES; i += 1) device.print('C');
  device.print('D');
  expect(device.text()).toBe(`${'C'.repeat(CONSOLE_BYTES - 9)}D`);
});

test('ConsoleDevice.load() continues where save() stopped', () => {
  const first = new ConsoleDevice(new SharedArrayBuffer(CONSOLE_BYTES));
  for (const character of 'before') first.print(character);
  const second = new ConsoleDevice(new SharedArrayBuffer(CONSOLE_BYTES));
  second.load(first.save());
  second.print('!');
  expect(second.text()).toBe('before!');
  expect(first.text()).toBe('before');
});
