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

test('what is bad or goes back is told', () => {
  const sight = watched([[0, 'load 7 ok\nload 8 BAD: key:3\nload 5 ok\n']]);
  expect(sight).toMatchObject({ damagedFrames: 1, lostFrames: 1 });
});
