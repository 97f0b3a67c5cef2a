import { expect, test } from 'vitest';
import { BoardBench } from '../../../../../support/riscv-board.ts';
import { BUFFERS, SPLIT_USED, VirtioDriver, WRITE } from '../../../../../support/virtio-driver.ts';

const OFFSET = BUFFERS - 0x8000_0000;

/** The bytes that a new guest gets in requests of these lengths. */
function drawn(randomSeed: number | undefined, lengths: readonly number[], missing = 0): string {
  const bench = new BoardBench({
    slots: [{ kind: 'rng' }],
    ...(randomSeed === undefined ? {} : { randomSeed }),
  });
  const driver = new VirtioDriver(bench, 0, 8, SPLIT_USED).start();
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
  // The available ring, the buffer, the index and the elements of the used ring.
  for (const page of [2, 4, 7, 8]) {
    expect(drawn(7, [3, 16, 5], page), `page ${page}`).toBe(drawn(7, [3, 16, 5]));
  }
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
