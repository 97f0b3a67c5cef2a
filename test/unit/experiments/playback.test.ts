import { describe, expect, test } from 'vitest';
import { Playback } from '../../../src/experiments/index.ts';

/** 10 frames a second and a buffer of 300 ms: three frames. */
function played(arrivalsMs: readonly number[], nowMs: number) {
  const playback = new Playback(10, 300);
  for (const ms of arrivalsMs) playback.frame(ms);
  return playback.report(nowMs);
}

/** Frames of a steady stream, one each 100 ms. */
const steady = (from: number, to: number) =>
  Array.from({ length: (to - from) / 100 + 1 }, (_, index) => from + index * 100);

describe('Playback', () => {
  test.each<[string, readonly number[], number, object]>([
    ['nothing yet', [], 500, { frames: 0, underruns: 0, longestGapMs: 0, frozenMs: 0 }],
    ['a buffer that fills', [0, 1], 9000, { underruns: 0, frozenMs: 0, longestGapMs: 8999 }],
    ['a steady stream', [0, 1, 2, ...steady(100, 2000)], 2000, { underruns: 0, frozenMs: 0 }],
    // The buffer of three frames begins at 2 and lasts until 302.
    ['a gap as long as the buffer', [0, 1, 2, 302], 302, { underruns: 0, longestGapMs: 300 }],
    [
      'a gap that is longer, until the buffer is full again',
      [0, 1, 2, 402, 403, 404],
      404,
      { underruns: 1, longestGapMs: 400, longestFreezeMs: 102, frozenMs: 102 },
    ],
    ['a gap that is not over', [0, 1, 2], 802, { underruns: 1, longestFreezeMs: 500 }],
    ['a buffer that fills after a gap', [0, 1, 2, 402], 502, { underruns: 1, frozenMs: 200 }],
    [
      'two gaps',
      [0, 1, 2, 402, 403, 404, 1404, 1405, 1406],
      1406,
      { frames: 9, underruns: 2, longestFreezeMs: 702, frozenMs: 804 },
    ],
  ])('sees %s', (_, arrivalsMs, nowMs, seen) => {
    expect(played(arrivalsMs, nowMs)).toMatchObject(seen);
  });

  test('has a buffer of one frame at least', () => {
    expect(new Playback(25, 0).capacity).toBe(1);
    expect(new Playback(25, 1000).capacity).toBe(25);
  });
});
