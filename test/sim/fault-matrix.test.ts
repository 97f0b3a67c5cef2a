import { describe, expect, test } from 'vitest';
import { FRAME_FAULTS, LINK_DIRECTIONS } from '../../src/experiments/simulation/index.ts';
import { arrived, framesOf, MODES, runSmall } from './matrix.ts';

describe('runHistory() breaks no rule whatever happens to whichever frame', () => {
  const cells = MODES.flatMap(([name, options]) =>
    LINK_DIRECTIONS.flatMap((direction) =>
      FRAME_FAULTS.map((fate) => [name, fate, direction, options] as const),
    ),
  );

  test.each(cells)('%s, %s %s', async (_name, fate, direction, options) => {
    const frameCount = await framesOf(options, direction);
    expect(frameCount).toBeGreaterThan(10);
    for (let at = 0; at < frameCount; at += 1) {
      // A second attempt finds a destination that is not clean. One way to fail at each place is
      // enough for that.
      const retry = fate === 'cut';
      const result = await runSmall(options, { kind: 'frame', fate, direction, at }, retry);
      const cell = `${fate} of frame ${at} ${direction}`;
      expect(result.violations, `${cell}\n${result.tail.join('\n')}`).toEqual([]);
      expect(result.attempts[0]?.hits, cell).toBe(1);
      if (retry) expect(arrived(result), cell).toBe(true);
    }
  });
});

describe('runHistory() breaks no rule whichever record a disk refuses', () => {
  const cells = ['source', 'destination'].flatMap((side) =>
    [1, 2, 3].flatMap((write) =>
      [true, false].flatMap((lasting) =>
        [true, false].map((stays) => [side, write, lasting, stays] as const),
      ),
    ),
  );

  test.each(cells)(
    'at the %s, write %i (lasting: %s, on disk all the same: %s)',
    async (...cell) => {
      const [side, write, lasting, stays] = cell;
      for (const [, options] of MODES) {
        const result = await runSmall(options, {
          kind: 'ledger',
          side: side === 'source' ? 'source' : 'destination',
          write,
          lasting,
          stays,
        });
        expect(result.violations, result.tail.join('\n')).toEqual([]);
      }
    },
  );
});

test('runHistory() breaks no rule whenever it is cancelled', async () => {
  for (const [, options] of MODES) {
    for (let atMs = 0; atMs < 50; atMs += 1.7) {
      const result = await runSmall(options, { kind: 'cancel', atMs });
      expect(result.violations, `at ${atMs} ms\n${result.tail.join('\n')}`).toEqual([]);
      expect(arrived(result)).toBe(true);
    }
  }
});
