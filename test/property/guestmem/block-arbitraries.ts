import fc from 'fast-check';
import { testBlock } from '../../support/test-block.ts';

/** Not multiples of 64, the kernels' step, except for one. */
const BLOCKS = [1, 63, 128, 200, 321].map((pageCount) => testBlock(pageCount));

/** A block and as many bits as it has pages: runs of equal bits, as dirty pages come. */
export const blockWithBits = fc.constantFrom(...BLOCKS).chain((block) =>
  fc.record({
    block: fc.constant(block),
    bits: patternOf(block.layout.pageCount),
    otherBits: patternOf(block.layout.pageCount),
  }),
);

function patternOf(length: number): fc.Arbitrary<boolean[]> {
  const run = fc.record({ bit: fc.boolean(), length: fc.integer({ min: 1, max: 90 }) });
  const scattered = fc.array(fc.boolean(), { minLength: length, maxLength: length });
  const runs = fc.array(run, { minLength: 1, maxLength: 12 }).map((list) => {
    const bits = list.flatMap((item) => Array.from({ length: item.length }, () => item.bit));
    return Array.from({ length }, (_, index) => bits[index] ?? false);
  });
  return fc.oneof(scattered, runs);
}
