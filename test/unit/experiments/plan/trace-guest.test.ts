import { expect, test } from 'vitest';
import { CacheModel } from '../../../../src/experiments/plan/model/cache-model.ts';
import { PageBits } from '../../../../src/experiments/plan/model/page-bits.ts';
import { TraceGuest } from '../../../../src/experiments/plan/model/trace-guest.ts';
import { sweep } from './guests.ts';

const SWEEP = sweep({ ramPages: 1024, hotPages: 500, pagesPerInterval: 10, intervals: 50 });

function dirtied(fromMs: number, toMs: number): number[] {
  const pages = new PageBits(1024);
  new TraceGuest(SWEEP).dirty(fromMs, toMs, pages);
  const found: number[] = [];
  pages.forEach((pfn) => {
    found.push(pfn);
  });
  expect(pages.count).toBe(found.length);
  return found;
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index);

test('a guest dirties what it dirtied when it was recorded', () => {
  expect(dirtied(0, 10)).toEqual(range(0, 10));
  expect(dirtied(20, 50)).toEqual(range(20, 50));
  expect(dirtied(5, 25)).toEqual(range(5, 25));
  expect(dirtied(33, 33)).toEqual([]);
});

test('it begins again when the trace is over', () => {
  expect(dirtied(490, 510)).toEqual([...range(0, 10), ...range(490, 500)]);
  expect(dirtied(1000, 1010)).toEqual(range(0, 10));
  expect(dirtied(17, 517)).toEqual(range(0, 500));
});

test('the model of the cache keeps two pages a set, and no third one while they are fresh', () => {
  const cache = new CacheModel([{ name: 'ram0', bytes: 64 * 4096 }], 8 * 4096);
  // Four sets: pages 1, 5 and 9 share one.
  expect([1, 5, 9].map((pfn) => cache.look(pfn, 2))).toEqual([false, false, false]);
  expect([1, 5, 9].map((pfn) => cache.look(pfn, 3))).toEqual([true, true, false]);
  expect(cache.holds(9)).toBe(false);
  // Two syncs later the older one may go.
  cache.look(5, 5);
  expect(cache.look(9, 5)).toBe(false);
  expect([1, 5, 9].map((pfn) => cache.holds(pfn))).toEqual([false, true, true]);
});
