import { beforeEach, describe, expect, test } from 'vitest';
import { slotRegion } from '../../../../../../src/guest/riscv/board/board-block.ts';
import { BoardBench } from '../../../../../support/riscv-board.ts';
import { BUFFERS, NEXT, VirtioDriver, WRITE } from '../../../../../support/virtio-driver.ts';

describe('VirtioTransport', () => {
  let bench: BoardBench;
  let driver: VirtioDriver;

  beforeEach(() => {
    bench = new BoardBench({ slots: [{ kind: 'rng' }], randomSeed: 1 });
    driver = new VirtioDriver(bench);
  });

  test('says what it is, and an empty slot that there is nothing', () => {
    expect([0, 4, 8, 0x0c].map((offset) => driver.read(offset))).toEqual([
      0x7472_6976, 2, 4, 0x4e52_5453,
    ]);
    const empty = new VirtioDriver(bench, 7);
    expect([0, 4, 8, 0x10, 0x34].map((offset) => empty.read(offset))).toEqual([
      0x7472_6976, 2, 0, 0, 0,
    ]);
    empty.write(0x70, 1);
    expect(empty.status).toBe(0);
  });

  test('the driver starts the device step by step', () => {
    driver.start();
    expect(driver.status).toBe(0x0f);
    expect(driver.read(0x44)).toBe(1);
    expect(driver.read(0x34)).toBe(128);
    driver.write(0x30, 1);
    expect([driver.read(0x34), driver.read(0x44)]).toEqual([0, 0]);
  });

  test.each([
    ['without VERSION_1', 0, 0],
    ['with a feature that was not offered', 1, 3],
  ])('FEATURES_OK is not kept %s', (_, low, high) => {
    driver.write(0x70, 3);
    driver.write(0x24, 0);
    driver.write(0x20, low);
    driver.write(0x24, 1);
    driver.write(0x20, high);
    driver.write(0x70, 11);
    expect(driver.status).toBe(3);
  });

  test('features have two halves, and are fixed once they were agreed on', () => {
    driver.write(0x14, 0);
    expect(driver.read(0x10)).toBe(0);
    driver.write(0x14, 1);
    expect(driver.read(0x10)).toBe(1);
    driver.write(0x14, 2);
    expect(driver.read(0x10)).toBe(0);
    driver.start();
    driver.write(0x24, 1);
    driver.write(0x20, 0);
    driver.write(0x24, 2);
    driver.write(0x20, 0);
    driver.write(0x70, 15);
    expect(driver.status).toBe(15);
  });

  test('serves a request once, and interrupts until that is acknowledged', () => {
    driver.start();
    driver.setChain(0, [{ gpa: BUFFERS, length: 16, flags: WRITE }]);
    driver.offer(0);
    expect(driver.usedIndex).toBe(0);
    expect(bench.board.hasPendingWork).toBe(true);
    bench.board.poll();
    expect(bench.board.hasPendingWork).toBe(false);
    expect(driver.usedIndex).toBe(1);
    expect(driver.used(0)).toEqual([0, 16]);
    expect(driver.read(0x60)).toBe(1);
    expect(bench.read32(0x0c00_1000)).toBe(2);
    driver.write(0x64, 1);
    expect(driver.read(0x60)).toBe(0);
    bench.board.poll();
    expect(driver.usedIndex).toBe(1);
  });

  test('the rings wrap', () => {
    driver.start();
    driver.setChain(3, [{ gpa: BUFFERS, length: 4, flags: WRITE }]);
    // Nearly once around: both indexes of the queue.
    bench.block.region(slotRegion(0)).set([65_530, 65_530], 16 + 8);
    driver.setAvailableIndex(65_530);
    for (let count = 0; count < 20; count += 1) {
      driver.offer(3);
      bench.board.poll();
    }
    expect(driver.usedIndex).toBe(14);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((place) => driver.used(place))).toEqual(
      Array(8).fill([3, 4]),
    );
    expect(driver.needsReset).toBe(false);
  });

  test('a driver that wants no interrupts gets none', () => {
    driver.start();
    driver.setChain(0, [{ gpa: BUFFERS, length: 4, flags: WRITE }]);
    driver.wantsNoInterrupt = true;
    driver.offer(0);
    bench.board.poll();
    expect([driver.usedIndex, driver.read(0x60)]).toEqual([1, 0]);
    driver.wantsNoInterrupt = false;
    driver.offer(0);
    bench.board.poll();
    expect([driver.usedIndex, driver.read(0x60)]).toEqual([2, 1]);
  });

  test('what was available before DRIVER_OK is served after it', () => {
    driver.start();
    driver.write(0x70, 0);
    driver.write(0x70, 3);
    driver.write(0x24, 1);
    driver.write(0x20, 1);
    driver.write(0x70, 11);
    driver.setUpQueue();
    driver.setChain(0, [{ gpa: BUFFERS, length: 4, flags: WRITE }]);
    driver.offer(0);
    bench.board.poll();
    expect(driver.usedIndex).toBe(0);
    driver.write(0x70, 15);
    bench.board.poll();
    expect(driver.usedIndex).toBe(1);
  });

  test('status 0 resets queues, features, interrupts and pending requests', () => {
    driver.start();
    driver.setChain(0, [{ gpa: BUFFERS, length: 4, flags: WRITE }]);
    driver.offer(0);
    bench.board.poll();
    driver.offer(0);
    driver.write(0x70, 0);
    expect([driver.status, driver.read(0x60), driver.read(0x44)]).toEqual([0, 0, 0]);
    expect(bench.board.hasPendingWork).toBe(false);
    driver.write(0x70, 11);
    expect(driver.status).toBe(3);
  });

  test('a queue that is ready keeps its addresses, and one that was stopped begins anew', () => {
    driver.start();
    driver.setChain(0, [{ gpa: BUFFERS, length: 4, flags: WRITE }]);
    driver.write(0xa0, 0);
    driver.write(0x38, 3);
    driver.offer(0);
    bench.board.poll();
    expect(driver.usedIndex).toBe(1);
    driver.write(0x44, 0);
    expect(driver.read(0x44)).toBe(0);
    driver.offer(0);
    bench.board.poll();
    expect(driver.usedIndex).toBe(1);
    driver.setAvailableIndex(0);
    driver.setUpQueue();
    driver.offer(0);
    bench.board.poll();
    expect(driver.used(0)).toEqual([0, 4]);
  });

  test.each([
    ['of no size', 0x8000_1000n, 0],
    ['of a size that is no power of two', 0x8000_1000n, 6],
    ['that is too large', 0x8000_1000n, 256],
    ['that is not aligned', 0x8000_1008n, 8],
    ['outside of RAM', 0x1000n, 8],
    ['at the end of RAM', 0x8010_0000n - 16n, 8],
    ['beyond all RAM', 0xffff_ffff_ffff_fff0n, 8],
  ])('a queue %s makes the device ask for a reset', (_, descriptors, size) => {
    driver.start();
    driver.write(0x44, 0);
    driver.setUpQueue(descriptors, size);
    expect(driver.read(0x44)).toBe(0);
    expect(driver.needsReset).toBe(true);
    expect(driver.read(0x60)).toBe(2);
    driver.start();
    expect(driver.needsReset).toBe(false);
  });

  const buffer = { gpa: BUFFERS, length: 16, flags: WRITE };
  test.each([
    ['a loop', [{ ...buffer, flags: WRITE | NEXT, next: 0 }]],
    ['a long loop', [0, 1, 2].map((n) => ({ ...buffer, flags: 3, next: (n + 1) % 3 }))],
    ['a descriptor beyond the table', [{ ...buffer, flags: WRITE | NEXT, next: 8 }]],
    ['an indirect table', [{ ...buffer, flags: 4 }]],
    ['a buffer without bytes', [{ ...buffer, length: 0 }]],
    ['a buffer below RAM', [{ ...buffer, gpa: 0x1000_0000 }]],
    ['a buffer across the end of RAM', [{ ...buffer, gpa: 0x8010_0000 - 15 }]],
    ['a buffer beyond 2^63', [{ ...buffer, gpa: 0xffff_ffff_8000_4000n }]],
    ['a buffer that is 4 GiB long', [{ ...buffer, length: 0xffff_ffff }]],
    [
      'readable behind writable',
      [
        { ...buffer, flags: 3, next: 1 },
        { ...buffer, flags: 0 },
      ],
    ],
    ['nothing to fill', [{ ...buffer, flags: 0 }]],
  ])('a chain with %s makes the device ask for a reset', (_, descriptors) => {
    driver.start();
    for (const [index, descriptor] of descriptors.entries()) {
      driver.setDescriptor(index, descriptor);
    }
    driver.offer(0);
    bench.board.poll();
    expect(driver.needsReset).toBe(true);
    expect(driver.read(0x60)).toBe(2);
    expect(driver.usedIndex).toBe(0);
    expect(bench.ram.dirty.size).toBe(0);
    // It stands still.
    driver.write(0x50, 0);
    expect(bench.board.hasPendingWork).toBe(false);
    driver.write(0x70, 0x0f);
    expect(driver.status).toBe(0x4f);
  });

  test.each([
    ['a head beyond the table', (d: VirtioDriver) => d.offer(8)],
    ['more requests than the ring holds', (d: VirtioDriver) => d.setAvailableIndex(9)],
    ['an index that went back', (d: VirtioDriver) => d.setAvailableIndex(0xffff)],
  ])('%s makes the device ask for a reset', (_, lie) => {
    driver.start();
    lie(driver);
    driver.write(0x50, 0);
    bench.board.poll();
    expect(driver.needsReset).toBe(true);
  });

  test('requests before a bad one are answered', () => {
    driver.start();
    driver.setChain(0, [buffer]);
    driver.setChain(1, [{ ...buffer, length: 0 }]);
    driver.offer(0);
    driver.offer(1);
    bench.board.poll();
    expect(driver.usedIndex).toBe(1);
    expect(driver.read(0x60)).toBe(3);
  });

  test('narrow accesses to registers are none, and unknown registers are empty', () => {
    driver.start();
    expect(bench.board.mmioRead(0x1000_1000, 1)).toBe(0);
    expect(bench.board.mmioRead(0x1000_1002, 2)).toBe(0);
    bench.board.mmioWrite(0x1000_1070, 1, 0);
    expect(driver.status).toBe(15);
    expect([0x18, 0x54, 0xf8, 0x100, 0xffc].map((offset) => driver.read(offset))).toEqual([
      0, 0, 0, 0, 0,
    ]);
    expect([0xb0, 0xb4, 0xb8, 0xbc].map((offset) => driver.read(offset))).toEqual(
      Array(4).fill(0xffff_ffff),
    );
    expect(driver.read(0xfc)).toBe(0);
    driver.write(0x100, 5);
    bench.board.poll();
    driver.write(0x50, 77);
    expect(bench.board.hasPendingWork).toBe(false);
  });

  test.each([1, 2, 3, 4, 5])('pages that are missing are waited for: page %i', (page) => {
    driver.start();
    driver.setChain(0, [
      { gpa: BUFFERS + 4090, length: 10, flags: WRITE },
      { gpa: BUFFERS, length: 6, flags: WRITE },
    ]);
    driver.offer(0);
    bench.ram.missing.add(page);
    expect(bench.pollThrough()).toBe(1);
    expect(driver.usedIndex).toBe(1);
    expect(driver.used(0)).toEqual([0, 16]);
    expect(driver.read(0x60)).toBe(1);
  });
});
