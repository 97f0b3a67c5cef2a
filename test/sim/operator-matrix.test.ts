import { describe, expect, test } from 'vitest';
import {
  type AttemptResult,
  type HistoryResult,
  LINK_DIRECTIONS,
  type OperatorKind,
} from '../../src/experiments/simulation/index.ts';
import { arrived, CELL_LIMIT_MS, framesOf, OPERATED, runSmall } from './matrix.ts';

/** A guest that was taken back leaves again, over a whole link. */
function endedWell(result: HistoryResult): boolean {
  const { outgoing } = result.attempts[0] ?? {};
  // The guest had arrived, or its source heard of its death before the operator looked.
  const isThere = outgoing?.status === 'completed' || outgoing?.error?.code === 'E_GUEST_LOST';
  return isThere || arrived(result);
}

function wasTakenBack({ outgoing }: AttemptResult): boolean {
  return outgoing.error?.code === 'E_TAKEN_BACK';
}

describe('runHistory() breaks no rule when an operator decides, whichever', () => {
  test.each(LINK_DIRECTIONS)(
    'frame %s is the last that the destination lives to see',
    async (direction) => {
      const frameCount = await framesOf(OPERATED, direction);
      const points = new Set<number>();
      for (let at = 0; at < frameCount; at += 1) {
        const restartMs = [1, 150, 3000][at % 3] ?? 1;
        const place = { side: 'destination', direction, at, restartMs, boots: false } as const;
        const options = { ...OPERATED, operator: 'takes-back' } as const;
        const result = await runSmall(options, { kind: 'kill', ...place });
        const cell = `dies at frame ${at} ${direction}`;
        expect(result.violations, `${cell}\n${result.tail.join('\n')}`).toEqual([]);
        expect(endedWell(result), cell).toBe(true);
        const [first] = result.attempts;
        if (first !== undefined && wasTakenBack(first))
          points.add(first.source.postcopy?.journal?.points ?? 0);
      }
      // From the switch, and from each of the points behind it.
      expect(points.size).toBeGreaterThan(2);
      expect([...points]).toEqual([...points.keys()].map((_, index) => index));
    },
  );

  const cells = (['resumes', 'takes-back-wrongly'] as const).flatMap((operator) =>
    LINK_DIRECTIONS.map((direction) => [operator, direction] as const),
  );
  test.each<readonly [OperatorKind, (typeof LINK_DIRECTIONS)[number]]>(cells)(
    'link is cut, and he %s, at a frame %s',
    async (operator, direction) => {
      const frameCount = await framesOf(OPERATED, direction);
      let takenBack = 0;
      for (let at = 0; at < frameCount; at += 1) {
        const fault = { kind: 'frame', fate: 'cut', direction, at } as const;
        const result = await runSmall({ ...OPERATED, operator }, fault);
        const cell = `${operator} after frame ${at} ${direction}`;
        expect(result.violations, `${cell}\n${result.tail.join('\n')}`).toEqual([]);
        expect(arrived(result), cell).toBe(true);
        expect(result.attempts[0]?.hits, cell).toBe(1);
        takenBack += result.attempts.filter(wasTakenBack).length;
      }
      if (operator === 'resumes') expect(takenBack).toBe(0);
      else expect(takenBack).toBeGreaterThan(frameCount / 4);
    },
    CELL_LIMIT_MS,
  );
});
