import fc from 'fast-check';
import type { PageEntry } from '../../../src/protocol/index.ts';

const payload = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });
const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const pfn = fc.integer({ min: 0, max: 2 ** 32 - 65_536 });

/** Any legal entry of a page batch. */
export const pageEntry: fc.Arbitrary<PageEntry> = fc.oneof(
  fc.record({
    kind: fc.constant('ZERO_RUN' as const),
    pfn,
    pages: fc.integer({ min: 1, max: 65_535 }),
  }),
  fc.record({ kind: fc.constant('RAW' as const), pfn, hash, payload: payload(4096, 4096) }),
  fc.record({ kind: fc.constant('XBZRLE' as const), pfn, hash, payload: payload(3, 4095) }),
  fc.record({ kind: fc.constant('LZ4' as const), pfn, hash, payload: payload(2, 4095) }),
  fc.record({ kind: fc.constant('LZ4_XBZRLE' as const), pfn, hash, payload: payload(2, 4095) }),
);
