import { describe, expect, test } from 'vitest';
import { FRAME_FAULTS, LINK_DIRECTIONS } from '../../src/experiments/simulation/index.ts';
import { arrived, CELL_LIMIT_MS, framesOf, MODES, runSmall } from './matrix.ts';

describe('runHistory() breaks no rule whatever happens to whichever frame', () => {
  const cells = MODES.flatMap(([name, options]) =>
    LINK_DIRECTIONS.flatMap((direction) =>
      FRAME_FAULTS.map((fate) => [name, fate, direction, options] as const),
    ),
  );

  test.each(cells)(
    '%s, %s %s',
    async (_name, fate, direction, options) => {
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
    },
    CELL_LIMIT_MS,
  );
});

/** Of a migration in which nothing goes wrong: the source has, gives, and has given the guest. */
const RECORDS = { source: 3, destination: 2 } as const;

test('each side writes as many records as the matrix refuses', async () => {
  for (const [mode, options] of MODES) {
    const { attempts } = await runSmall(options, { kind: 'none' });
    const { source, destination } = attempts[0]?.ledgers ?? {};
    expect(source, mode).toEqual({ records: RECORDS.source, refused: 0 });
    expect(destination, mode).toEqual({ records: RECORDS.destination, refused: 0 });
  }
});

describe('runHistory() breaks no rule whichever record a disk refuses', () => {
  const cells = (['source', 'destination'] as const).flatMap((side) =>
    Array.from({ length: RECORDS[side] }, (_, index) => index + 1).flatMap((write) =>
      [true, false].flatMap((lasting) =>
        [true, false].map((stays) => [side, write, lasting, stays] as const),
      ),
    ),
  );

  test.each(cells)(
    'at the %s, write %i (lasting: %s, on disk all the same: %s)',
    async (...cell) => {
      const [side, write, lasting, stays] = cell;
      for (const [mode, options] of MODES) {
        const fault = { kind: 'ledger', side, write, lasting, stays } as const;
        const result = await runSmall(options, fault);
        expect(result.violations, result.tail.join('\n')).toEqual([]);
        const refused = result.attempts[0]?.ledgers[side].refused ?? 0;
        expect(refused, mode).toBeGreaterThanOrEqual(1);
        if (!lasting) expect(refused, mode).toBe(1);
      }
    },
  );
});

describe('runHistory() breaks no rule whenever it is cancelled', () => {
  test.each(MODES)(
    '%s',
    async (_name, options) => {
      const statuses: string[] = [];
      for (let atMs = 0; atMs < 50; atMs += 1.7) {
        const result = await runSmall(options, { kind: 'cancel', atMs });
        expect(result.violations, `at ${atMs} ms\n${result.tail.join('\n')}`).toEqual([]);
        expect(arrived(result)).toBe(true);
        statuses.push(result.attempts[0]?.outgoing.status ?? 'none');
      }
      // Up to some moment it is cancelled, and after that never.
      const cancelled = statuses.filter((status) => status === 'cancelled');
      expect(cancelled.length).toBeGreaterThan(3);
      expect(statuses.slice(0, cancelled.length)).toEqual(cancelled);
      expect(new Set(statuses.slice(cancelled.length))).toEqual(new Set(['completed']));
    },
    CELL_LIMIT_MS,
  );
});
