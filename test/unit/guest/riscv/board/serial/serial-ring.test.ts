import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../../../../src/base/index.ts';
import { SerialRing } from '../../../../../../src/guest/riscv/board/index.ts';

const bytes = (text: string) => Buffer.from(text);
const text = (pulled: { readonly bytes: Uint8Array }) => Buffer.from(pulled.bytes).toString();

describe('SerialRing', () => {
  test('push() takes what there is room for, and pull() gives it back in order', () => {
    const ring = SerialRing.allocate(8);
    expect(ring.push(bytes('abcdefghij'))).toBe(8);
    expect([ring.length, ring.room]).toEqual([8, 0]);
    expect(text(ring.pull(3))).toBe('abc');
    expect(ring.push(bytes('xyz'))).toBe(3);
    expect(Buffer.from(ring.peek(99)).toString()).toBe('defghxyz');
    expect(text(ring.pull(99))).toBe('defghxyz');
    expect(ring.pull(99).bytes.length).toBe(0);
  });

  test('the counters may wrap', () => {
    const ring = SerialRing.allocate(4);
    const words = new Int32Array(ring.shared);
    words[0] = 2 ** 31 - 2;
    words[4] = 2 ** 31 - 2;
    for (let round = 0; round < 3; round += 1) {
      expect(ring.push(bytes('1234'))).toBe(4);
      expect(ring.length).toBe(4);
      expect(text(ring.pull(4))).toBe('1234');
    }
    words[0] = -2;
    words[4] = -2;
    expect(ring.push(bytes('567'))).toBe(3);
    expect(text(ring.pull(9))).toBe('567');
  });

  test('pull() says that the producer waits only when it found the ring full', () => {
    const ring = SerialRing.allocate(2);
    ring.push(bytes('ab'));
    expect(ring.pull(1).producerWaits).toBe(false);
    ring.push(bytes('cd'));
    expect(ring.pull(1).producerWaits).toBe(true);
    expect(ring.pull(1).producerWaits).toBe(false);
  });

  test('whenReadable() resolves when bytes come, and is undefined when there are some', async () => {
    const ring = SerialRing.allocate(2);
    const waiting = ring.whenReadable();
    expect(waiting).toBeDefined();
    ring.push(bytes('a'));
    expect(await waiting).toBe('ok');
    expect(ring.whenReadable()).toBeUndefined();
  });

  test('whenWritable() resolves when there is room, and is undefined when there is some', async () => {
    const ring = SerialRing.allocate(2);
    expect(ring.whenWritable()).toBeUndefined();
    ring.push(bytes('abc'));
    const waiting = ring.whenWritable();
    expect(waiting).toBeDefined();
    ring.pull(1);
    expect(await waiting).toBe('ok');
  });

  test('allocate() has powers of two only', () => {
    expect(SerialRing.allocate(1).capacityBytes).toBe(1);
    for (const size of [0, 3, -4, 2 ** 30]) {
      expect(() => SerialRing.allocate(size)).toThrow(AssertionError);
    }
  });
});
