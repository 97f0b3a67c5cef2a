import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../../../../src/base/index.ts';
import { SerialRing } from '../../../../../../src/guest/riscv/board/index.ts';

/** A producer in another thread, from the build: bytes 0, 1, 2 ... in pieces of odd lengths. */
const PRODUCER = `
const { workerData } = require('node:worker_threads');
import(workerData.dist + '/serial/serial-ring.js').then(({ SerialRing }) => {
  const ring = new SerialRing(workerData.shared);
  const { total } = workerData;
  for (let sent = 0; sent < total; ) {
    const length = Math.min(1 + (sent % 97), total - sent);
    sent += ring.push(Uint8Array.from({ length }, (_, index) => sent + index));
  }
});`;

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

  test('between threads no byte is lost, doubled or out of order', async () => {
    const ring = SerialRing.allocate(64);
    const total = 200_000;
    const dist = new URL('../../../../../../dist/guest/riscv/board', import.meta.url).href;
    const worker = new Worker(PRODUCER, {
      eval: true,
      workerData: { shared: ring.shared, total, dist },
    });
    const ended = new Promise((resolve, reject) => {
      worker.on('exit', resolve);
      worker.on('error', reject);
    });
    let wrong = 0;
    for (let received = 0; received < total; ) {
      await ring.whenReadable(1000);
      for (const byte of ring.pull(1 + (received % 41)).bytes) {
        if (byte !== (received & 0xff)) wrong += 1;
        received += 1;
      }
    }
    expect(wrong).toBe(0);
    expect(await ended).toBe(0);
    expect(ring.length).toBe(0);
  });

  test('allocate() has powers of two only', () => {
    expect(SerialRing.allocate(1).capacityBytes).toBe(1);
    for (const size of [0, 3, -4, 2 ** 30]) {
      expect(() => SerialRing.allocate(size)).toThrow(AssertionError);
    }
  });
});
