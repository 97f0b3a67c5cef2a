import { describe, expect, test } from 'vitest';
import type { RamBlock } from '../../../src/guestmem/index.ts';
import { emptyTotals, type PageTotals } from '../../../src/source/counters.ts';
import { RemainingCost } from '../../../src/source/precopy/remaining-cost.ts';

/** A block of which so many pages are dirty, and that share of them is cached. */
function block(dirtyPages: number, share: number): RamBlock {
  const sampleDirty = () => ({ dirtyPages, looked: 100, cached: 100 * share });
  return { cache: { sampleDirty } } as unknown as RamBlock;
}

function totals(change: Partial<PageTotals>): PageTotals {
  return { ...emptyTotals(), ...change };
}

/** 96 bytes with its entry. */
const DELTAS = { xbzrlePages: 10, xbzrleBytes: 800, hitPages: 10 };
const WHOLE = 4112;

describe('RemainingCost.bytesPerPage()', () => {
  test.each<[string, Partial<PageTotals>, RamBlock[], number]>([
    ['whole pages without deltas', { rawPages: 10 }, [block(10, 1)], WHOLE],
    ['LZ4 as it went', { lz4Pages: 10, lz4Bytes: 20_000 }, [block(10, 1)], 2016],
    ['deltas where all that remains is cached', DELTAS, [block(10, 1)], 96],
    ['whole pages where nothing of it is cached', DELTAS, [block(10, 0)], WHOLE],
    ['both by their shares', DELTAS, [block(30, 0.5), block(10, 1)], (25 * 96 + 15 * WHOLE) / 40],
    ['no page that was found unchanged', { ...DELTAS, unchangedPages: 90 }, [block(10, 1)], 96],
    [
      'deltas that went whole because they were no smaller',
      { ...DELTAS, overflowPages: 10, rawPages: 10 },
      [block(10, 1)],
      16 + (800 + 10 * 4096) / 20,
    ],
    ['zeros like other pages', { rawPages: 5, zeroPages: 5 }, [block(10, 0)], 16 + 4096 / 2],
    ['headers of frames', { rawPages: 10, frames: 5 }, [block(10, 0)], WHOLE + 16],
    ['whole pages while nothing was sent', {}, [block(10, 1)], WHOLE],
  ])('counts %s', (_, change, blocks, expected) => {
    const cost = new RemainingCost().bytesPerPage(totals(change), false, blocks, true);
    expect(cost).toBeCloseTo(expected, 9);
  });

  test('takes the zeros of the first pass for nothing that the guest wrote', () => {
    const cost = new RemainingCost();
    const first = totals({ rawPages: 5, zeroPages: 500 });
    expect(cost.bytesPerPage(first, true, [block(10, 0)], true)).toBe(WHOLE);
  });

  test('remembers deltas over a pass that sent none', () => {
    const cost = new RemainingCost();
    cost.bytesPerPage(totals(DELTAS), false, [block(10, 1)], true);
    const none = totals({ unchangedPages: 5 });
    expect(cost.bytesPerPage(none, false, [block(10, 1)], true)).toBe(96);
  });

  test('is that of whole pages when the last ones will not be encoded', () => {
    const cost = new RemainingCost();
    expect(cost.bytesPerPage(totals(DELTAS), false, [block(10, 1)], false)).toBe(WHOLE);
  });
});
