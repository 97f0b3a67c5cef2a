import { createRequire } from 'node:module';

/** Returns the length of what was written; 0: it does not fit. */
type Convert = (input: Buffer, output: Buffer) => number;

/** The package `lz4`, the C library behind it: the judge of blocks that the kernels write. */
export const lz4Library = createRequire(import.meta.url)('lz4') as {
  readonly encodeBlock: Convert;
  /** Throws, or returns a negative number, when the block is malformed. */
  readonly decodeBlock: Convert;
};
