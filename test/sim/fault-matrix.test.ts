import { describe, expect, test } from 'vitest';
import type { MigrationParameters } from '../../src/base/index.ts';
import {
  type FaultPlan,
  FRAME_FAULTS,
  type HistoryResult,
  LINK_DIRECTIONS,
  type LinkDirection,
  runHistory,
} from '../../src/experiments/simulation/index.ts';
import { SMALL_HISTORY } from './small-history.ts';

type Mode = Partial<MigrationParameters>;
const MODES: readonly (readonly [string, Mode])[] = [
  // A downtime limit that takes a few passes to meet.
  ['precopy', { mode: 'precopy', downtimeLimitMs: 5, timeoutMs: 20 }],
  ['stop', { mode: 'stop', verify: 'strict' }],
];

describe('runHistory() breaks no rule whatever happens to whichever frame', () => {
  const cells = MODES.flatMap(([name, mode]) =>
    LINK_DIRECTIONS.flatMap((direction) =>
      FRAME_FAULTS.map((fate) => [name, fate, direction, mode] as const),
    ),
  );

  test.each(cells)('%s, %s %s', async (_name, fate, direction, mode) => {
    const frameCount = await framesOf(mode, direction);
    expect(frameCount).toBeGreaterThan(10);
    for (let at = 0; at < frameCount; at += 1) {
      // A second attempt finds a destination that is not clean. One way to fail at each place is
      // enough for that.
      const retry = fate === 'cut';
      const result = await runSmall(mode, { kind: 'frame', fate, direction, at }, retry);
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
      for (const [, mode] of MODES) {
        const result = await runSmall(mode, {
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
  for (const [, mode] of MODES) {
    for (let atMs = 0; atMs < 50; atMs += 1.7) {
      const result = await runSmall(mode, { kind: 'cancel', atMs });
      expect(result.violations, `at ${atMs} ms\n${result.tail.join('\n')}`).toEqual([]);
      expect(arrived(result)).toBe(true);
    }
  }
});

function runSmall(mode: Mode, fault: FaultPlan, retry = true): Promise<HistoryResult> {
  const parameters = { ...SMALL_HISTORY.parameters, ...mode };
  return runHistory({ ...SMALL_HISTORY, parameters, fault, retry });
}

async function framesOf(mode: Mode, direction: LinkDirection): Promise<number> {
  const { attempts, violations } = await runSmall(mode, { kind: 'none' });
  expect(violations).toEqual([]);
  return attempts[0]?.frames[direction] ?? 0;
}

/**
 * With a second attempt after a failure, only a hand-over of which nobody knows keeps the guest
 * from getting there.
 */
function arrived({ attempts }: HistoryResult): boolean {
  return attempts.some(
    ({ incoming, outgoing }) =>
      incoming.status === 'completed' || outgoing.error?.code === 'E_OWNERSHIP_UNKNOWN',
  );
}
