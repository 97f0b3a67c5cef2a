import { describe, expect, test } from 'vitest';
import { OPERATORS, runHistory } from '../../src/experiments/simulation/index.ts';

/**
 * `SIM_HISTORIES=10000 npx vitest run test/sim/histories.test.ts` for a long night; `sterna sim`
 * for a longer one.
 */
const COUNT = Number(process.env.SIM_HISTORIES ?? 200);
const SEEDS_PER_TEST = 50;

describe('runHistory() breaks no rule', () => {
  const firsts = Array.from({ length: Math.ceil(COUNT / SEEDS_PER_TEST) }, (_, index) => index);
  test.each(firsts.map((index) => index * SEEDS_PER_TEST + 1))(
    'from seed %i on',
    async (first) => {
      const count = Math.min(SEEDS_PER_TEST, COUNT + 1 - first);
      let completed = 0;
      for (let seed = first; seed < first + count; seed += 1) {
        const { violations, attempts } = await runHistory({ seed });
        expect(violations, `replay: sterna sim --seed ${seed}`).toEqual([]);
        if (attempts.some(({ outgoing }) => outgoing.status === 'completed')) completed += 1;
      }
      // A simulation in which nothing ever arrives would break no rule either.
      expect(completed).toBeGreaterThan(count / 2);
    },
    600_000,
  );
});

describe('runHistory() breaks no rule with LZ4', () => {
  test.each(['auto', 'all'] as const)(
    'x-codec=%s',
    async (codec) => {
      let completed = 0;
      for (let seed = 1; seed <= 20; seed += 1) {
        const { violations, attempts } = await runHistory({ seed, parameters: { codec } });
        expect(violations, `seed ${seed} with x-codec=${codec}`).toEqual([]);
        if (attempts.some(({ outgoing }) => outgoing.status === 'completed')) completed += 1;
      }
      expect(completed).toBeGreaterThan(10);
    },
    600_000,
  );
});

describe('runHistory() breaks no rule with a journal, where lost links wait for an operator', () => {
  test.each(OPERATORS)(
    'who %s',
    async (operator) => {
      let points = 0;
      for (let seed = 1; seed <= 10; seed += 1) {
        const { violations, attempts } = await runHistory({
          ...{ seed, journal: true, operator },
          parameters: {
            ...{ mode: 'postcopy', verify: 'after', autoRecover: 'off' },
            ...{ postcopyJournalIntervalMs: 10, maxPostcopyBandwidthBytesPerSecond: 2e6 },
          },
        });
        expect(violations, `seed ${seed}, an operator who ${operator}`).toEqual([]);
        for (const { source } of attempts) points += source.postcopy?.journal?.points ?? 0;
      }
      expect(points).toBeGreaterThan(10);
    },
    600_000,
  );
});
