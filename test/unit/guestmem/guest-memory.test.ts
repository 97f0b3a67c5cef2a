import { afterEach, describe, expect, test, vi } from 'vitest';
import { PAGE_BYTES, SternaError } from '../../../src/base/index.ts';
import { dirtyMapAddress, GuestMemory } from '../../../src/guestmem/index.ts';
import { bitsOf } from '../../support/test-block.ts';

const PAGES = [64, 10, 130];
const VCPUS = 2;

function threeBlocks(): GuestMemory {
  return GuestMemory.allocate(
    PAGES.map((pages, index) => ({ name: `ram${index}`, bytes: pages * PAGE_BYTES })),
    VCPUS,
  );
}

function mark(memory: GuestMemory, log: number, block: number, pfn: number): void {
  const { layout, bytes } = memory.blocks[block]!;
  bytes[dirtyMapAddress(layout, log, memory.activeMap(log)) + pfn] = 1;
}

function dirtyPages(memory: GuestMemory): number[][] {
  return memory.blocks.map((block) =>
    bitsOf(block, block.layout.dirtyBitmap).flatMap((bit, pfn) => (bit ? [pfn] : [])),
  );
}

function flipAll(memory: GuestMemory): void {
  for (let log = 0; log < memory.logCount; log += 1) memory.flipLog(log);
}

describe('GuestMemory', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test('allocate() makes zeroed blocks one behind the other', () => {
    const memory = threeBlocks();
    expect(memory.pageCount).toBe(204);
    expect(memory.blocks.map(({ layout }) => layout.firstPfn)).toEqual([0, 64, 74]);
    expect(memory.blocks.map(({ layout }) => layout.index)).toEqual([0, 1, 2]);
    expect(memory.logCount).toBe(VCPUS + 1);
    for (const block of memory.blocks) expect(block.ram.every((byte) => byte === 0)).toBe(true);
  });

  test('allocate() throws E_NO_MEMORY when the system gives none', () => {
    const refusing = class {
      constructor() {
        throw new RangeError('WebAssembly.Memory(): could not allocate memory');
      }
    };
    vi.stubGlobal('WebAssembly', { ...WebAssembly, Memory: refusing });
    let thrown: unknown;
    try {
      threeBlocks();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SternaError);
    expect(thrown).toMatchObject({ code: 'E_NO_MEMORY', message: expect.stringContaining('ram0') });
  });

  test('attach() sees the same bytes and the same maps', () => {
    const memory = threeBlocks();
    const other = GuestMemory.attach(memory.handles());
    memory.blocks[1]!.ram[5] = 77;
    expect(other.blocks[1]!.ram[5]).toBe(77);
    other.flipLog(1);
    expect([0, 1, 2].map((log) => memory.activeMap(log))).toEqual([0, 1, 0]);
    expect(other.pageCount).toBe(memory.pageCount);
  });

  test('locate() finds block and offset of every address, and nothing outside', () => {
    const memory = threeBlocks();
    const found = (gpaBytes: number) => {
      const place = memory.locate(gpaBytes);
      return place && [place.block.layout.index, place.offsetBytes];
    };
    expect(found(0)).toEqual([0, 0]);
    expect(found(64 * PAGE_BYTES - 1)).toEqual([0, 64 * PAGE_BYTES - 1]);
    expect(found(64 * PAGE_BYTES)).toEqual([1, 0]);
    expect(found(74 * PAGE_BYTES + 9)).toEqual([2, 9]);
    expect(found(204 * PAGE_BYTES - 1)).toEqual([2, 130 * PAGE_BYTES - 1]);
    expect(found(204 * PAGE_BYTES)).toBeUndefined();
    expect(found(-1)).toBeUndefined();
  });

  test('mergeRetiredLogs() takes marks of all logs and blocks, each page once', () => {
    const memory = threeBlocks();
    mark(memory, 0, 0, 63);
    mark(memory, 1, 0, 63);
    mark(memory, 1, 1, 9);
    mark(memory, 2, 2, 129);
    flipAll(memory);
    expect(memory.mergeRetiredLogs()).toBe(3);
    expect(dirtyPages(memory)).toEqual([[63], [9], [129]]);
    expect(memory.mergeRetiredLogs()).toBe(0);
  });

  test('mergeRetiredLogs() leaves the marks made after the flip for the next one', () => {
    const memory = threeBlocks();
    mark(memory, 0, 0, 1);
    flipAll(memory);
    mark(memory, 0, 0, 2);
    expect(memory.mergeRetiredLogs()).toBe(1);
    expect(dirtyPages(memory)[0]).toEqual([1]);
    flipAll(memory);
    expect(memory.mergeRetiredLogs()).toBe(1);
    expect(dirtyPages(memory)[0]).toEqual([1, 2]);
  });

  test('mergeRetiredLogs() loses no mark when a log is flipped twice before it is merged', () => {
    const memory = threeBlocks();
    mark(memory, 0, 0, 1);
    flipAll(memory);
    mark(memory, 0, 0, 2);
    flipAll(memory);
    memory.mergeRetiredLogs();
    flipAll(memory);
    memory.mergeRetiredLogs();
    expect(dirtyPages(memory)[0]).toEqual([1, 2]);
  });
});
