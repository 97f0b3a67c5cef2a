import { expect, test } from 'vitest';
import { PushWindow } from '../../../src/source/push-window.ts';

const KIB = 2 ** 10;
const ROUND_TRIP_MS = 0.1;

/** A link on which a window is answered after `answerMs`, or later when its wire is the limit. */
class ModelLink {
  readonly window = new PushWindow();
  private bytes = 0;
  private nowMs = 0;
  private rates: { readonly ms: number; readonly rate: number }[] = [];

  get windowBytes(): number {
    return this.window.bytes(this.measured, ROUND_TRIP_MS);
  }

  /** As LinkMeter: the highest of the last 2 s. */
  get measured(): number | undefined {
    return this.rates.length === 0 ? undefined : Math.max(...this.rates.map(({ rate }) => rate));
  }

  /** Returns the mean rate of the last second, bytes per millisecond. */
  run(ms: number, wireBytesPerMs: number, answerMs: number): number {
    const endMs = this.nowMs + ms;
    let lastSecondBytes = 0;
    while (this.nowMs < endMs) {
      const rate = Math.min(wireBytesPerMs, this.windowBytes / answerMs);
      this.nowMs += 5;
      this.bytes += rate * 5;
      if (this.nowMs > endMs - 1000) lastSecondBytes += rate * 5;
      this.rates = this.rates.filter((sample) => sample.ms > this.nowMs - 2000);
      this.rates.push({ ms: this.nowMs, rate });
      this.window.delivered(this.bytes, this.nowMs);
    }
    return lastSecondBytes / 1000;
  }
}

test('PushWindow.bytes() is 128 KiB while nothing is known of the link', () => {
  expect(new PushWindow().bytes(undefined, 1)).toBe(128 * KIB);
});

test('PushWindow.bytes() is never less than 20 KiB, nor more than 1 MiB beyond what the wire holds', () => {
  const window = new PushWindow();
  expect(window.bytes(100, 1)).toBe(20 * KIB);
  expect(window.bytes(4e6, 1)).toBe(4e6 + 1024 * KIB);
});

test('PushWindow keeps a slow wire busy, and a fault behind 3 ms of it at most', () => {
  const link = new ModelLink();
  expect(link.run(5000, 125_000, 0.3)).toBeCloseTo(125_000, -3);
  for (let step = 0; step < 100; step += 1) {
    link.run(10, 125_000, 0.3);
    expect(link.windowBytes).toBeLessThanOrEqual(125_000 * (3 + ROUND_TRIP_MS) + 1);
  }
});

test('PushWindow does not shrink with the rate where the peer answers late', () => {
  const link = new ModelLink();
  // A window of 2 ms at the measured rate would be a quarter of what it takes, again and again.
  expect(link.run(10_000, 2e6, 8)).toBeGreaterThan((700 * KIB) / 8);
});

test('PushWindow goes back to a short queue when the peer answers soon again', () => {
  const link = new ModelLink();
  link.run(10_000, 125_000, 8);
  expect(link.windowBytes).toBeGreaterThan(125_000 * 4);
  link.run(3000, 125_000, 0.3);
  expect(link.windowBytes).toBeLessThanOrEqual(125_000 * (3 + ROUND_TRIP_MS) + 1);
});
