import { describe, expect, test } from 'vitest';
import { blockLayout } from '../../../src/guestmem/block/block-layout.ts';
import { GuestMemory, MemoryReserve } from '../../../src/guestmem/index.ts';

const BLOCKS = [{ name: 'ram0', bytes: 2 ** 20 }];

const layoutOf = (bytes: number, machineBytes = 0) =>
  blockLayout({ name: 'ram0', index: 0, bytes, firstPfn: 0, vcpuCount: 1, machineBytes });

describe('MemoryReserve', () => {
  test('take() gives the memory of a block of the size, once', () => {
    const reserve = new MemoryReserve(BLOCKS);
    expect(reserve.take(layoutOf(2 ** 21))).toBeUndefined();
    expect(reserve.take(layoutOf(2 ** 20, 2 ** 16))).toBeUndefined();
    expect(reserve.take(layoutOf(2 ** 20))).toBeInstanceOf(WebAssembly.Memory);
    expect(reserve.take(layoutOf(2 ** 20))).toBeUndefined();
  });

  test('allocate() builds a guest of any number of vCPUs in the reserve, and beside it when it does not fit', () => {
    for (const vcpuCount of [1, 16]) {
      const reserve = new MemoryReserve(BLOCKS);
      const memory = GuestMemory.allocate(BLOCKS, vcpuCount, reserve);
      expect(reserve.take(layoutOf(2 ** 20))).toBeUndefined();
      const [block] = memory.blocks;
      expect(block?.ram.every((byte) => byte === 0)).toBe(true);
      expect(block?.kernels.dirtyAllPopulated()).toBe(0);
      expect(memory.logCount).toBe(vcpuCount + 1);
    }
    const reserve = new MemoryReserve(BLOCKS);
    const larger = GuestMemory.allocate([{ name: 'ram0', bytes: 2 ** 21 }], 1, reserve);
    expect(larger.pageCount).toBe(512);
    expect(reserve.take(layoutOf(2 ** 20))).toBeDefined();
  });

  test.each([2 ** 20, 2 ** 31])(
    'a machine of %i bytes of RAM needs no more than the one that has most or least beside it',
    (bytes) => {
      const [least = 0, some = 0, most = 0] = [0, 2 ** 16, 2 ** 24].map(
        (machineBytes) => layoutOf(bytes, machineBytes).memoryBytes,
      );
      expect(some).toBeLessThanOrEqual(Math.max(least, most));
    },
  );

  test.each([0, 2 ** 16, 2 ** 24])(
    'allocate() takes it for a machine with %i bytes of its own',
    (machineBytes) => {
      const reserve = new MemoryReserve(BLOCKS, 2 ** 24);
      const { memory, layout } = GuestMemory.allocate(BLOCKS, 1, reserve, machineBytes).blocks[0]!;
      expect(memory.buffer.byteLength).toBeGreaterThanOrEqual(layout.machineArea + machineBytes);
      expect(reserve.take(layoutOf(2 ** 20))).toBeUndefined();
    },
  );
});
