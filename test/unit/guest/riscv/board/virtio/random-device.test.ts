import { expect, test } from 'vitest';
import { BoardBench } from '../../../../../support/riscv-board.ts';
import { BUFFERS, VirtioDriver, WRITE } from '../../../../../support/virtio-driver.ts';

const OFFSET = BUFFERS - 0x8000_0000;

/** The bytes that a new guest gets in requests of these lengths. */
function drawn(randomSeed: number | undefined, lengths: readonly number[], missing = 0): string {
  const bench = new BoardBench({
    slots: [{ kind: 'rng' }],
    ...(randomSeed === undefined ? {} : { randomSeed }),
  });
  const driver = new VirtioDriver(bench).start();
  return lengths
    .map((length) => {
      driver.setChain(0, [{ gpa: BUFFERS, length, flags: WRITE }]);
      driver.offer(0);
      if (missing > 0) bench.ram.missing.add(missing);
      bench.pollThrough();
      const [, written] = driver.used((driver.usedIndex - 1) % 8);
      return Buffer.from(bench.ram.bytes.slice(OFFSET, OFFSET + written)).toString('hex');
    })
    .join(' ');
}

test('with a seed the bytes follow from it, also when a request is interrupted', () => {
  expect(drawn(7, [3, 16, 5])).toBe(drawn(7, [3, 16, 5]));
  expect(drawn(7, [3, 16, 5], 4)).toBe(drawn(7, [3, 16, 5]));
  expect(drawn(8, [16])).not.toBe(drawn(7, [16]));
  expect(drawn(0, [16])).not.toMatch(/^0*$/);
  const [first, second] = drawn(7, [16, 16]).split(' ');
  expect(first).not.toBe(second);
});

test("without a seed they are the host's", () => {
  expect(drawn(undefined, [16])).not.toBe(drawn(undefined, [16]));
});

test('a long request gets less than it asked for', () => {
  expect(drawn(1, [10_000]).length).toBe(2 * 4096);
});
