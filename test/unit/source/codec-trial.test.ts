import { describe, expect, test } from 'vitest';
import { CodecTrial } from '../../../src/source/codec/codec-trial.ts';

/** A stretch of sending, in frames of 10 ms. */
interface Stretch {
  readonly isOn: boolean;
  readonly ms: number;
  /** On the wire. */
  readonly bytesPerMs: number;
  /** Of a body, before and after. */
  readonly ratio?: number;
}

class Sender {
  readonly trial = new CodecTrial();
  nowMs = 0;
  private acknowledgedBytes = 0;

  /** Resolves to whether it was allowed before each frame. */
  send({ isOn, ms, bytesPerMs, ratio = 1 }: Stretch, isFree = true): boolean[] {
    const allowed: boolean[] = [];
    for (let at = 0; at < ms; at += 10) {
      const { nowMs, acknowledgedBytes } = this;
      allowed.push(this.trial.allows({ nowMs, acknowledgedBytes }, isOn, isFree));
      this.trial.made(10_000 * ratio, 10_000);
      this.nowMs += 10;
      this.acknowledgedBytes += bytesPerMs * 10;
    }
    return allowed;
  }
}

const PLAIN: Stretch = { isOn: false, ms: 200, bytesPerMs: 1000 };

describe('CodecTrial', () => {
  test('what brings more of the guest over goes on', () => {
    const sender = new Sender();
    sender.send(PLAIN);
    // Fewer bytes, but each stands for two.
    const allowed = sender.send({ isOn: true, ms: 1000, bytesPerMs: 600, ratio: 2 });
    expect(allowed.every((isAllowed) => isAllowed)).toBe(true);
  });

  test('what brings less over rests, longer each time', () => {
    const sender = new Sender();
    const rests: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      sender.send(PLAIN);
      expect(sender.send({ isOn: true, ms: 100, bytesPerMs: 400, ratio: 2 }).at(-1)).toBe(false);
      const startMs = sender.nowMs;
      while (!sender.send({ ...PLAIN, ms: 10 })[0]);
      rests.push(sender.nowMs - startMs);
    }
    expect(rests[1]).toBeGreaterThan((rests[0] ?? 0) + 200);
    expect(rests[2]).toBeGreaterThan((rests[1] ?? 0) + 400);
  });

  test('what is still under way when it is switched on is not counted as its work', () => {
    const sender = new Sender();
    sender.send(PLAIN);
    expect(sender.send({ isOn: true, ms: 40, bytesPerMs: 100 }).every(Boolean)).toBe(true);
    expect(sender.send({ isOn: true, ms: 400, bytesPerMs: 900, ratio: 2 }).every(Boolean)).toBe(
      true,
    );
  });

  test('without a rate of before there is nothing to hold it against', () => {
    const sender = new Sender();
    const slow: Stretch = { isOn: true, ms: 1000, bytesPerMs: 10 };
    expect(sender.send(slow).every(Boolean)).toBe(true);
    // One of long ago says nothing, either.
    sender.send(PLAIN);
    sender.nowMs += 6000;
    expect(sender.send(slow).every(Boolean)).toBe(true);
  });

  test.each([
    ['goes on when that brings less', 900, true],
    ['rests when that brings more', 1500, false],
  ])('where it is not free it looks at what there is without it, and %s', (_, plain, goesOn) => {
    const sender = new Sender();
    // 1200 of the guest: the link is as slow as it seems, or what is slow is the processor.
    const compressed: Stretch = { isOn: true, ms: 100, bytesPerMs: 600, ratio: 2 };
    expect(sender.send(compressed, false).at(-1)).toBe(false);
    const without = sender.send({ isOn: false, ms: 90, bytesPerMs: plain }, false);
    expect(without.slice(0, -1).every((isAllowed) => !isAllowed)).toBe(true);
    expect(without.at(-1)).toBe(goesOn);
    // Once is enough for a while.
    if (goesOn) expect(sender.send({ ...compressed, ms: 3000 }, false).every(Boolean)).toBe(true);
  });
});
