import { describe, expect, test } from 'vitest';
import { LINK_DIRECTIONS, type Side } from '../../src/experiments/simulation/index.ts';
import { CELL_LIMIT_MS, framesOf, MODES, runSmall } from './matrix.ts';

const SIDES: readonly Side[] = ['source', 'destination'];

describe('runHistory() breaks no rule whichever side dies at whichever frame', () => {
  const cells = MODES.flatMap(([name, options]) =>
    LINK_DIRECTIONS.flatMap((direction) =>
      SIDES.map((side) => [name, side, direction, options] as const),
    ),
  );

  test.each(cells)(
    '%s, the %s at a frame %s',
    async (_name, side, direction, options) => {
      const frameCount = await framesOf(options, direction);
      for (let at = 0; at < frameCount; at += 1) {
        // Before the other side has noticed, while it asks, and after it has given up.
        const restartMs = [1, 150, 3000][at % 3] ?? 1;
        const kill = { kind: 'kill', side, direction, at, restartMs, boots: at % 2 === 0 } as const;
        const { violations, attempts, tail } = await runSmall(options, kill);
        const cell = `${side} dies at frame ${at} ${direction}`;
        expect(violations, `${cell}\n${tail.join('\n')}`).toEqual([]);
        expect(attempts[0]?.hits, cell).toBe(1);
      }
    },
    CELL_LIMIT_MS,
  );
});

describe('runHistory() breaks no rule when the link breaks again and again', () => {
  const postcopy = MODES.filter(([, { parameters }]) => isPostcopy(parameters?.mode));
  const cells = postcopy.flatMap(([name, options]) =>
    LINK_DIRECTIONS.map((direction) => [name, direction, options] as const),
  );

  test.each(cells)(
    '%s, at each frame %s of what follows a break',
    async (_name, direction, options) => {
      // JOIN to RECOVERED and the next pages; the connection of its own once more. The answer to
      // GRANT is lost first, so all of this is the rest of one post-copy.
      const resumed = { direction: 'to-source', at: 'POSTCOPY_RESUMED' } as const;
      const fault = { kind: 'frame', fate: 'cut', ...resumed } as const;
      let at = 0;
      for (; at < 10; at += 1) {
        const place = { fate: 'cut', direction, at } as const;
        const result = await runSmall({ ...options, breaks: [place, place] }, fault);
        const { violations, attempts, tail } = result;
        expect(violations, `frame ${at}\n${tail.join('\n')}`).toEqual([]);
        // Not so much followed the second break, or the third.
        if ((attempts[0]?.hits ?? 0) < 3) break;
      }
      expect(at).toBeGreaterThanOrEqual(5);
    },
    CELL_LIMIT_MS,
  );
});

function isPostcopy(mode: string | undefined): boolean {
  return mode === 'postcopy' || mode === 'hybrid';
}
