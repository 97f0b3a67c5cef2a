import { expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import { RateLimiter } from '../../../src/channel/index.ts';

const MBPS = 1_000_000;

/**
 * Sends frames for `ms`, each as soon as it may go; returns the bytes. Timers are whole and late,
 * as real ones are.
 */
async function send(
  clock: SimClock,
  limiter: RateLimiter,
  frameBytes: number,
  ms: number,
): Promise<number> {
  const untilMs = clock.nowMs() + ms;
  let bytes = 0;
  const sending = (async () => {
    while (clock.nowMs() < untilMs) {
      const waitMs = limiter.waitMs();
      if (waitMs > 0) {
        await clock.sleep(Math.ceil(waitMs) + 0.2);
      } else {
        limiter.take(frameBytes);
        bytes += frameBytes;
        // Writing takes some time too.
        await clock.sleep(0.01);
      }
    }
  })();
  await clock.runUntil(sending);
  return bytes;
}

test.each([
  [12.5 * MBPS, 16 * 1024],
  [125 * MBPS, 64 * 1024],
  [125 * MBPS, 256 * 1024],
  [1000 * MBPS, 256 * 1024],
])(
  'waitMs() keeps %d bytes/s within 0.5 %% when frames have %d bytes',
  async (rate, frameBytes) => {
    const clock = new SimClock();
    const limiter = new RateLimiter(clock, rate);
    const bytes = await send(clock, limiter, frameBytes, 2000);
    expect(bytes / 2 / rate).toBeGreaterThan(0.995);
    expect(bytes / 2 / rate).toBeLessThan(1.005);
  },
);

test('waitMs() is 0 however much was taken when the rate is unlimited', () => {
  const limiter = new RateLimiter(new SimClock(), 0);
  limiter.take(1e12);
  expect(limiter.waitMs()).toBe(0);
});

test('waitMs() lets one frame go at once and then asks for the time of the debt', async () => {
  const clock = new SimClock();
  const limiter = new RateLimiter(clock, 1 * MBPS);
  expect(limiter.waitMs()).toBe(0);
  // The bucket begins with 2 ms = 2000 bytes.
  limiter.take(12_000);
  expect(limiter.waitMs()).toBeCloseTo(10, 6);
  await clock.advance(4);
  expect(limiter.waitMs()).toBeCloseTo(6, 6);
  await clock.advance(6);
  expect(limiter.waitMs()).toBe(0);
});

test('waitMs() never pays for more than 2 ms of silence', async () => {
  const clock = new SimClock();
  const limiter = new RateLimiter(clock, 1 * MBPS);
  await clock.advance(60_000);
  limiter.take(3000);
  expect(limiter.waitMs()).toBeCloseTo(1, 6);
});

test('waitMs() lets at most 10 ms be caught up by who was woken late', async () => {
  const clock = new SimClock();
  const limiter = new RateLimiter(clock, 1 * MBPS);
  limiter.take(4000);
  expect(limiter.waitMs()).toBeCloseTo(2, 6);
  await clock.advance(60_000);
  limiter.take(11_000);
  expect(limiter.waitMs()).toBeCloseTo(1, 6);
});

test('waitMs() asks again soon even when the debt is long', () => {
  const limiter = new RateLimiter(new SimClock(), 1000);
  limiter.take(1_000_000);
  expect(limiter.waitMs()).toBe(50);
});

test('setRate() changes the rate of what follows and of the debt', async () => {
  const clock = new SimClock();
  const limiter = new RateLimiter(clock, 1 * MBPS);
  limiter.take(42_000);
  expect(limiter.waitMs()).toBeCloseTo(40, 6);
  limiter.setRate(4 * MBPS);
  expect(limiter.waitMs()).toBeCloseTo(10, 6);
  const slow = await send(clock, limiter, 4096, 500);
  limiter.setRate(40 * MBPS);
  const fast = await send(clock, limiter, 4096, 500);
  expect(fast / slow).toBeGreaterThan(9.8);
  expect(fast / slow).toBeLessThan(10.4);
});

test('setRate() forgets the debt when the limit is lifted and set again', () => {
  const limiter = new RateLimiter(new SimClock(), 1000);
  limiter.take(1_000_000);
  limiter.setRate(0);
  expect(limiter.waitMs()).toBe(0);
  limiter.setRate(1000);
  expect(limiter.waitMs()).toBe(0);
});
