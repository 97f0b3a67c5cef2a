import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/base/index.ts';
import { ConsoleWatch } from '../../../../src/experiments/evaluation/console-watch.ts';

/** Sees each of `lines` at its time. */
function watched(lines: readonly (readonly [atMs: number, text: string])[]) {
  let nowMs = 0;
  const watch = new ConsoleWatch({ ...systemClock(), nowMs: () => nowMs });
  for (const [atMs, text] of lines) {
    nowMs = atMs;
    watch.see(Buffer.from(text));
  }
  return watch.sight();
}

test('a line counts when it is whole, wherever it was cut', () => {
  expect(
    watched([
      [0, '[ 1.0] boot\nload 1 ok\nlo'],
      [30, 'ad 2 ok'],
      [50, ' at 3.5\n'],
    ]),
  ).toMatchObject({ events: 2, longestMs: 50, damagedFrames: 0, lostFrames: 0 });
});

test('the gap is by the host, and by the guest where it says its time', () => {
  const sight = watched([
    [0, 'load 1 ok at 10.00\n'],
    [40, 'load 2 ok at 10.04\n'],
    [940, 'load 3 ok at 10.10\n'],
  ]);
  expect(sight.longestMs).toBe(900);
  expect(sight.freezeMs).toBeCloseTo(60, 6);
});

test('what is bad or goes back is told, and so is a panic', () => {
  const sight = watched([[0, 'load 7 ok\nload 8 BAD: key:3\nload 5 ok\n']]);
  expect(sight).toMatchObject({ damagedFrames: 1, lostFrames: 1 });
  const panic = watched([[0, 'load 1 ok\n[ 9.1] Kernel panic - not syncing\n']]);
  expect(panic).toMatchObject({ damagedFrames: 1, lostFrames: 0 });
});

test('a gap that has not ended counts, one from before the restart does not', async () => {
  let nowMs = 0;
  const clock = {
    ...systemClock(),
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const watch = new ConsoleWatch(clock);
  watch.see(Buffer.from('load 1 ok\n'));
  nowMs = 5000;
  watch.see(Buffer.from('load 2 ok\n'));
  watch.restart();
  nowMs = 5300;
  expect(watch.sight().longestMs).toBe(300);
  expect(await watch.goesOn(1000)).toBe(false);
  expect(watch.sight().longestMs).toBeGreaterThan(1000);
  const goes = watch.goesOn(1000);
  watch.see(Buffer.from('load 3 ok\nload 4 ok\n'));
  expect(await goes).toBe(true);
});
