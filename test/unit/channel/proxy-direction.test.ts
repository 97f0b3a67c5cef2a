import { expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import { ProxyDirection } from '../../support/proxy-direction.ts';

const RATE = 1_000_000;

test('occupy() lets a busy wire carry exactly its rate, however late each wake-up is', async () => {
  const clock = new SimClock();
  const direction = new ProxyDirection(clock, { bandwidthBytesPerSecond: RATE });
  let leftMs = 0;
  for (let piece = 0; piece < 1000; piece += 1) {
    leftMs = direction.occupy(2000, 0);
    await clock.advance(Math.max(0, leftMs - clock.nowMs()) + (piece % 10 === 0 ? 15 : 0));
  }
  expect(leftMs).toBeCloseTo(2000, 6);
});

test('occupy() does not save up the time in which there was nothing to carry', async () => {
  const clock = new SimClock();
  const direction = new ProxyDirection(clock, { bandwidthBytesPerSecond: RATE });
  direction.occupy(2000, 0);
  await clock.advance(500);
  expect(direction.occupy(2000, clock.nowMs())).toBeCloseTo(502, 6);
});

test('occupy() catches up at most 100 ms when the receiver was slow', async () => {
  const clock = new SimClock();
  const direction = new ProxyDirection(clock, { bandwidthBytesPerSecond: RATE });
  await clock.advance(5000);
  expect(direction.occupy(2000, 0)).toBeCloseTo(4902, 6);
});

test('occupy() takes a new bandwidth at once, and none when there is no limit', () => {
  const direction = new ProxyDirection(new SimClock(), { bandwidthBytesPerSecond: RATE });
  expect(direction.occupy(1000, 0)).toBeCloseTo(1, 6);
  direction.setFaults({ bandwidthBytesPerSecond: RATE / 10 });
  expect(direction.occupy(1000, 0)).toBeCloseTo(11, 6);
  direction.setFaults({});
  expect(direction.occupy(1e9, 7)).toBe(7);
});
