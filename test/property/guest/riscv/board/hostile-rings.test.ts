import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RAM_BASE, VIRTIO } from '../../../../../src/guest/riscv/board/index.ts';
import { BoardBench, MemoryDrive } from '../../../../support/riscv-board.ts';
import { VirtioDriver } from '../../../../support/virtio-driver.ts';

/**
 * A driver that writes anything into its rings and registers. The bench's RAM throws at any access
 * outside of it and its drive at any access outside of the disk, so what gets through did neither;
 * and a run that ended did not loop.
 */

const RAM_BYTES = 2 ** 17;
const SLOTS = [
  { kind: 'rng' },
  { kind: 'blk', capacityBytes: 8192, isReadOnly: false, serial: 'disk' },
] as const;

function newBench(): BoardBench {
  const drives = new Map([[1, new MemoryDrive(8192)]]);
  return new BoardBench({ ramBytes: RAM_BYTES, slots: SLOTS, randomSeed: 3 }, drives);
}

function fillRam(bench: BoardBench, headers: readonly Uint8Array[]): void {
  const block = Buffer.concat(headers);
  for (let at = 0x4000; at + block.length <= RAM_BYTES; at += block.length) {
    bench.ram.bytes.set(block, at);
  }
}

/** Mostly near what could work, and sometimes anything. */
const address = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .integer({ min: 0x400, max: RAM_BYTES / 16 })
      .map((n) => BigInt(RAM_BASE + n * 16)),
  },
  { weight: 1, arbitrary: fc.integer({ min: RAM_BASE, max: RAM_BASE + RAM_BYTES }).map(BigInt) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
  { weight: 1, arbitrary: fc.constant(BigInt(RAM_BASE + RAM_BYTES - 1)) },
);
const length = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 1100 }) },
  { weight: 1, arbitrary: fc.constantFrom(16, 512, 513, 1024) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }) },
);
const descriptor = fc.record({
  gpa: address,
  length,
  flags: fc.oneof(fc.constantFrom(0, 1, 2, 3), fc.integer({ min: 0, max: 0xffff })),
  next: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffff })),
});
/** A header of virtio-blk, as most kernels would write it, or not. */
const header = fc
  .tuple(
    fc.constantFrom(0, 1, 4, 8, 99),
    fc.oneof(fc.bigInt(0n, 16n), fc.bigInt(0n, 2n ** 64n - 1n)),
  )
  .map(([type, sector]) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(type);
    bytes.writeBigUInt64LE(sector, 8);
    return bytes;
  });
const anything = fc.array(descriptor, { minLength: 8, maxLength: 8 });
/** Two requests as a kernel would make them, and in half of the tables one descriptor is not. */
const plausible = fc
  .record({
    table: anything,
    data: fc.array(fc.record({ gpa: address, length, isWritable: fc.boolean() }), {
      minLength: 2,
      maxLength: 2,
    }),
    wrong: fc.integer({ min: 0, max: 11 }),
  })
  .map(({ table, data, wrong }) =>
    table.map((random, index) => {
      const request = Math.floor(index / 3);
      const part = data[request];
      if (part === undefined || index === wrong) return random;
      const gpa = BigInt(RAM_BASE + 0x8000 + request * 0x400);
      if (index % 3 === 0) return { gpa, length: 16, flags: 1, next: index + 1 };
      if (index % 3 === 2) return { gpa: gpa + 0x200n, length: 1, flags: 2, next: 0 };
      return { ...part, flags: part.isWritable ? 3 : 1, next: index + 1 };
    }),
  );
const round = fc.record({
  table: fc.oneof(anything, plausible),
  heads: fc.array(fc.oneof(fc.constantFrom(0, 3), fc.integer({ min: 0, max: 9 })), {
    minLength: 1,
    maxLength: 10,
  }),
  /** All over RAM: some buffers begin where a header does. */
  headers: fc.array(header, { minLength: 1, maxLength: 8 }),
  missing: fc.array(fc.integer({ min: 0, max: RAM_BYTES / 4096 - 1 }), { maxLength: 6 }),
});

describe('a hostile driver', () => {
  test.each([
    ['rng', 0],
    ['blk', 1],
  ])('of %s reaches nothing outside of RAM, and its device always comes to an end', (_, slot) => {
    let [answered, refused] = [0, 0];
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 3 }), (rounds) => {
        const bench = newBench();
        const driver = new VirtioDriver(bench, slot).start();
        for (const { table, heads, headers, missing } of rounds) {
          fillRam(bench, headers);
          for (const [index, entry] of table.entries()) driver.setDescriptor(index, entry);
          for (const head of heads) driver.offer(head);
          for (const page of missing) bench.ram.missing.add(page);
          // Also those that no request of an earlier round has touched.
          const absent = bench.ram.missing.size;
          expect(bench.pollThrough()).toBeLessThanOrEqual(absent);
          if (driver.usedIndex > 0) answered += 1;
          if (driver.needsReset) {
            refused += 1;
            expect(driver.read(0x60) & 2).toBe(2);
            driver.start();
          }
        }
      }),
      { numRuns: 400 },
    );
    // Both were tried.
    expect([answered > 20, refused > 20]).toEqual([true, true]);
  });

  test('whatever is missing, the outcome is that of a run where all was there', () => {
    fc.assert(
      fc.property(round, fc.constantFrom(0, 1), ({ table, heads, headers, missing }, slot) => {
        const run = (pages: readonly number[]) => {
          const bench = newBench();
          const driver = new VirtioDriver(bench, slot).start();
          fillRam(bench, headers);
          for (const [index, entry] of table.entries()) driver.setDescriptor(index, entry);
          for (const head of heads) driver.offer(head);
          for (const page of pages) bench.ram.missing.add(page);
          bench.pollThrough();
          bench.ram.missing.clear();
          return bench;
        };
        const [plain, interrupted] = [run([]), run(missing)];
        expect(Buffer.compare(interrupted.ram.bytes, plain.ram.bytes)).toBe(0);
        expect(interrupted.board.save()).toEqual(plain.board.save());
      }),
      { numRuns: 200 },
    );
  });

  test('any access to any register of any device is defined', () => {
    const target = fc.constantFrom<readonly [number, number]>(
      [VIRTIO.base, 0x200],
      [VIRTIO.base + VIRTIO.slotBytes, 0x200],
      [VIRTIO.base + 7 * VIRTIO.slotBytes, 0x200],
      [0x1000_0000, 0x10],
      [0x0c00_0000, 0x3000],
      [0x0c20_0000, 0x3000],
      [0x0000_0000, 0xffff_ffff],
    );
    const access = fc
      .tuple(
        target,
        fc.nat(),
        fc.constantFrom(1, 2, 4, 8, 0, 3),
        fc.boolean(),
        fc.oneof(fc.constantFrom(0, 1, 8, 15, 0x8000_4000), fc.nat(0xffff_ffff)),
      )
      .map(([[base, size], offset, bytes, isWrite, value]) => ({
        address: base + (offset % size),
        bytes,
        isWrite,
        value,
      }));
    fc.assert(
      fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
        const bench = newBench();
        new VirtioDriver(bench, 0).start();
        for (const { address, bytes, isWrite, value } of accesses) {
          if (isWrite) bench.board.mmioWrite(address, bytes, value);
          else {
            const read = bench.board.mmioRead(address, bytes);
            expect(Number.isInteger(read) && read >= 0 && read < 2 ** 32).toBe(true);
          }
          bench.board.poll();
        }
        // Whatever a guest does, its state is one that a destination takes.
        expect(() => newBench().board.load(bench.board.save())).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });
});
