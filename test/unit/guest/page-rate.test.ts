import { expect, test } from 'vitest';
import { PageRate } from '../../../src/guest/page-rate.ts';

function rateAt(pagesPerSecond: number) {
  const time = { ms: 5 };
  const rate = new PageRate(pagesPerSecond, { nowMs: () => time.ms });
  return { time, rate };
}

test('PageRate.due() gives the pages of the time that passed, fractions kept', () => {
  const { time, rate } = rateAt(2500);
  time.ms += 1;
  expect(rate.due()).toBe(2);
  rate.spend(2);
  time.ms += 1;
  expect(rate.due()).toBe(3);
});

test('PageRate.due() makes up for at most 100 ms', () => {
  const { time, rate } = rateAt(1000);
  time.ms += 10_000;
  expect(rate.due()).toBe(100);
});

test('PageRate.due() reaches one page when the rate is low', () => {
  const { time, rate } = rateAt(2);
  time.ms += 499;
  expect(rate.due()).toBe(0);
  time.ms += 1;
  expect(rate.due()).toBe(1);
});

test('PageRate.due() gives nothing when the clock was set back by a loaded state', () => {
  const { time, rate } = rateAt(1000);
  time.ms = 1;
  expect(rate.due()).toBe(0);
  time.ms = 3;
  expect(rate.due()).toBe(2);
});
