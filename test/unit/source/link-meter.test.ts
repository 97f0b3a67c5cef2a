import { describe, expect, test } from 'vitest';
import { LinkMeter } from '../../../src/source/link-meter.ts';

const MEBIBYTE = 2 ** 20;

/** Delivers at a constant rate, every 5 ms. Returns the bytes delivered so far. */
function deliver(
  meter: LinkMeter,
  span: { fromMs: number; toMs: number; bytesPerMs: number; startBytes?: number },
): number {
  let bytes = span.startBytes ?? 0;
  for (let nowMs = span.fromMs; nowMs <= span.toMs; nowMs += 5) {
    meter.delivered(bytes, nowMs);
    bytes += 5 * span.bytesPerMs;
  }
  return bytes;
}

describe('LinkMeter', () => {
  test('bytesPerMs is undefined until a span of 20 ms was measured', () => {
    const meter = new LinkMeter();
    expect(meter.bytesPerMs).toBeUndefined();
    meter.delivered(1000, 100);
    expect(meter.bytesPerMs).toBeUndefined();
    meter.delivered(9000, 119);
    expect(meter.bytesPerMs).toBeUndefined();
    meter.delivered(11_000, 120);
    expect(meter.bytesPerMs).toBe(500);
    expect(meter.acknowledgedBytes).toBe(11_000);
  });

  test('bytesPerMs keeps the highest rate of the last two seconds', () => {
    const meter = new LinkMeter();
    let bytes = deliver(meter, { fromMs: 5, toMs: 100, bytesPerMs: 1000 });
    bytes = deliver(meter, { fromMs: 105, toMs: 2000, bytesPerMs: 10, startBytes: bytes });
    expect(meter.bytesPerMs).toBe(1000);
    deliver(meter, { fromMs: 2005, toMs: 2300, bytesPerMs: 10, startBytes: bytes });
    expect(meter.bytesPerMs).toBeLessThan(20);
  });

  test('bytesPerMs rises with the first faster span', () => {
    const meter = new LinkMeter();
    const bytes = deliver(meter, { fromMs: 5, toMs: 100, bytesPerMs: 100 });
    deliver(meter, { fromMs: 105, toMs: 150, bytesPerMs: 700, startBytes: bytes });
    expect(meter.bytesPerMs).toBe(700);
  });

  test('idle() keeps a pause of the sender out of the rate', () => {
    const meter = new LinkMeter();
    meter.delivered(1000, 0);
    meter.idle(5000);
    meter.delivered(2000, 5001);
    meter.delivered(21_000, 5020);
    expect(meter.bytesPerMs).toBe(1000);
  });

  test('idle() adds up passes that are each too short for a measurement', () => {
    const meter = new LinkMeter();
    for (let pass = 0; pass < 5; pass += 1) {
      expect(meter.bytesPerMs).toBeUndefined();
      meter.idle(1000 * pass);
      meter.delivered(4000 * (pass + 1), 1000 * pass + 4);
    }
    expect(meter.bytesPerMs).toBe(1000);
  });

  test('bytesPerMs is not that of a peer that was busy, and reads in a burst what has come', () => {
    const meter = new LinkMeter();
    // 1000 bytes/ms, each byte 50 ms on its way, until the peer is busy for 60 ms.
    let bytes = 0;
    for (let nowMs = 0; nowMs <= 200; nowMs += 5) {
      meter.sent(5000 * (nowMs / 5 + 1), nowMs);
      if (nowMs < 50) continue;
      bytes = 5000 * ((nowMs - 50) / 5 + 1);
      meter.delivered(bytes, nowMs);
    }
    for (let nowMs = 260; nowMs < 263; nowMs += 0.5) {
      bytes += 10_000;
      meter.delivered(bytes, nowMs);
    }
    // And on as before.
    for (let nowMs = 263; nowMs <= 400; nowMs += 5) {
      meter.sent(bytes + 50_000, nowMs);
      bytes += 5000;
      meter.delivered(bytes, nowMs + 4);
    }
    expect(meter.bytesPerMs).toBeGreaterThan(900);
    expect(meter.bytesPerMs).toBeLessThan(1100);
  });

  test('bytesPerMs is not that of a burst of which all was sent at once', () => {
    const meter = new LinkMeter();
    meter.idle(0);
    for (let frame = 1; frame <= 20; frame += 1) meter.sent(50_000 * frame, 1);
    // The peer is busy for a second, and then has all.
    for (let frame = 1; frame <= 20; frame += 1) {
      meter.delivered(50_000 * frame, 1000 + frame / 10);
    }
    meter.idle(3000);
    meter.sent(1_020_000, 3001);
    meter.delivered(1_020_000, 3021);
    expect(meter.bytesPerMs).toBeLessThan(1001);
  });

  test('delivered() ignores an acknowledgement that is older than the last', () => {
    const meter = new LinkMeter();
    meter.delivered(5000, 10);
    meter.delivered(4000, 50);
    expect(meter.acknowledgedBytes).toBe(5000);
    expect(meter.bytesPerMs).toBeUndefined();
  });

  test('clockOffset is that of the shortest round trip, with half of it as its error', () => {
    const meter = new LinkMeter();
    expect(meter.clockOffset).toBeUndefined();
    expect(meter.roundTripMs).toBe(0);
    // The peer's clock is 1000 ms ahead; both ways take 5 ms.
    meter.roundTrip(100, 110, 1105);
    expect(meter.clockOffset).toEqual({ ms: 1000, errorMs: 5 });
    // A slow way back would give 996.
    meter.roundTrip(200, 220, 1206);
    expect(meter.clockOffset).toEqual({ ms: 1000, errorMs: 5 });
    meter.roundTrip(300, 302, 1301.5);
    expect(meter.clockOffset).toEqual({ ms: 1000.5, errorMs: 1 });
    expect(meter.roundTripMs).toBe(2);
  });

  test('windowBytes follows rate and round trip, within its bounds', () => {
    const meter = new LinkMeter();
    expect(meter.windowBytes).toBe(8 * MEBIBYTE);
    const slow = new LinkMeter();
    deliver(slow, { fromMs: 5, toMs: 100, bytesPerMs: 100 });
    expect(slow.windowBytes).toBe(MEBIBYTE);
    const fast = new LinkMeter();
    deliver(fast, { fromMs: 5, toMs: 100, bytesPerMs: 100_000 });
    expect(fast.windowBytes).toBe(100_000 * 25);
    fast.roundTrip(0, 40, 0);
    expect(fast.windowBytes).toBe(100_000 * (25 + 80));
    fast.roundTrip(0, 39, 0);
    deliver(fast, { fromMs: 105, toMs: 200, bytesPerMs: 5e6, startBytes: 2e7 });
    expect(fast.windowBytes).toBe(64 * MEBIBYTE);
  });
});
