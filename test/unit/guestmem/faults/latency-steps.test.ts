import { expect, test } from 'vitest';
import {
  LATENCY_STEP_COUNT,
  latencyBuckets,
  latencyQuantileMs,
  latencyStep,
} from '../../../../src/guestmem/faults/latency-steps.ts';

function stepsOf(latenciesMs: readonly number[]): number[] {
  const steps = new Array<number>(LATENCY_STEP_COUNT).fill(0);
  for (const ms of latenciesMs) {
    const step = latencyStep(ms);
    steps[step] = (steps[step] ?? 0) + 1;
  }
  return steps;
}

test('latencyQuantileMs() is 0 without a fault', () => {
  expect(latencyQuantileMs(stepsOf([]), 0.99)).toBe(0);
});

test.each([0.01, 0.083, 0.12, 0.35, 1.5, 40, 5000])(
  'latencyQuantileMs() tells %f ms to within 5 %%',
  (ms) => {
    const told = latencyQuantileMs(stepsOf([ms, ms, ms]), 0.5);
    expect(Math.abs(told / ms - 1)).toBeLessThan(0.05);
  },
);

test('latencyQuantileMs() finds the rank among different latencies', () => {
  const steps = stepsOf([...new Array(98).fill(0.1), 2, 30]);
  expect(latencyQuantileMs(steps, 0.5)).toBeCloseTo(0.1, 2);
  expect(latencyQuantileMs(steps, 0.98)).toBeCloseTo(2, 0);
  expect(latencyQuantileMs(steps, 0.99) / 30).toBeCloseTo(1, 1);
});

test('latencyBuckets() adds the steps of an octave up', () => {
  const buckets = latencyBuckets(stepsOf([0.064, 0.1, 0.127, 0.128]));
  expect(buckets).toHaveLength(24);
  expect([buckets[6], buckets[7]]).toEqual([3, 1]);
});
