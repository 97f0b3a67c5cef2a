import { expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import { defaultPlanParameters, makePlan } from '../../../../src/experiments/plan/make-plan.ts';
import { meterExcess } from '../../../../src/experiments/plan/model/meter-excess.ts';
import type { Trace } from '../../../../src/guestmem/index.ts';
import { sweep } from './guests.ts';

const FIFTHS = [0, 1, 2, 3, 4];

/** 100 intervals that were to be of 10 ms. */
function lateBy(lateMs: (interval: number) => number, guest = {}): Trace {
  const trace = sweep({ ramPages: 4096, hotPages: 1024, pagesPerInterval: 64, ...guest });
  const intervals = trace.intervals.map((interval, index) => ({
    ...interval,
    spanMs: interval.spanMs + lateMs(index),
  }));
  return { ...trace, intervals };
}

function excesses(trace: Trace): readonly number[] {
  return FIFTHS.map((part) => meterExcess(trace, part, FIFTHS.length));
}

const IDLE = sweep({ ramPages: 64, hotPages: 8, pagesPerInterval: 0, intervals: 5 });

test('a host that wakes in time shows half a frame more than the limit', () => {
  for (const excess of excesses(lateBy(() => 0))) expect(excess).toBeCloseTo(1.05);
});

test('what all wake-ups are late by is in the mean rate', () => {
  for (const excess of excesses(lateBy(() => 4))) expect(excess).toBeCloseTo(1.05);
});

test('what one is later by is caught up, in its part of the trace', () => {
  const found = excesses(lateBy((interval) => (interval === 25 ? 4 : 0)));
  expect(found.map((excess) => Number(excess.toFixed(3)))).toEqual([1.05, 1.25, 1.05, 1.05, 1.05]);
});

test('no more is caught up than the rate limiter allows', () => {
  const [first] = excesses(lateBy((interval) => (interval === 3 ? 500 : 0)));
  expect(first).toBeCloseTo(1.55);
});

test('a trace without intervals tells of no lateness', () => {
  const trace = { ...lateBy(() => 0), intervals: [] };
  for (const excess of excesses(trace)) expect(excess).toBeCloseTo(1.05);
});

test('of two downtimes, between which chance decides, the middle of the factors is expected', async () => {
  // The hot set takes 375 ms at the limit: it fits only where a wake-up made the meter see more.
  const hotPages = 3840;
  const guest = { ramPages: 16_384, hotPages, pagesPerInterval: hotPages };
  const trace = lateBy((interval) => (interval === 50 ? 10 : 0), guest);
  const plan = await makePlan({
    trace,
    link: { bytesPerMs: 2_000_000, roundTripMs: 0 },
    parameters: {
      ...defaultPlanParameters(),
      maxBandwidthBytesPerSecond: (hotPages * PAGE_BYTES) / 0.375,
      reorder: false,
    },
  });
  const hybrid = plan.rows.find(({ mode, codec }) => mode === 'hybrid' && codec === 'raw');
  const { low = 0, expected, high = 0 } = hybrid?.downtimeMs ?? {};
  expect(high).toBeGreaterThan(2 * low);
  // One of five stops at once.
  expect(expected).toBeCloseTo(low ** (4 / 5) * high ** (1 / 5), 1);
});

test('equal downtimes are expected as they are', async () => {
  const parameters = { ...defaultPlanParameters(), downtimeLimitMs: 20 };
  for (let bytesPerMs = 50_000; bytesPerMs < 50_050; bytesPerMs += 1) {
    const link = { bytesPerMs, roundTripMs: 0.3 };
    const { rows } = await makePlan({ trace: IDLE, link, parameters });
    for (const { downtimeMs } of rows) expect(downtimeMs.expected).toBe(downtimeMs.low);
  }
});
