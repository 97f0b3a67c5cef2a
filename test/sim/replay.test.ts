import { expect, test } from 'vitest';
import { planHistory, runHistory } from '../../src/experiments/simulation/index.ts';
import { CELL_LIMIT_MS } from './matrix.ts';

const SEEDS = [3, 14, 15, 92, 65, 35];

test(
  'runHistory() gives the same digest when it gets the same seed',
  async () => {
    for (const seed of SEEDS) {
      const first = await runHistory({ seed });
      const second = await runHistory({ seed });
      expect(second.digest).toBe(first.digest);
      expect(second.eventCount).toBe(first.eventCount);
      expect(second.tail).toEqual(first.tail);
    }
  },
  CELL_LIMIT_MS,
);

test('runHistory() gives another digest when it gets another seed', async () => {
  const digests = await Promise.all(SEEDS.map(async (seed) => (await runHistory({ seed })).digest));
  expect(new Set(digests).size).toBe(SEEDS.length);
});

test('runHistory() is not disturbed when others run beside it', async () => {
  const alone = await runHistory({ seed: 3 });
  const [beside] = await Promise.all([3, 14].map((seed) => runHistory({ seed })));
  expect(beside?.digest).toBe(alone.digest);
});

test('planHistory() draws every kind of fault, mode and verification', () => {
  const plans = Array.from({ length: 300 }, (_, seed) => planHistory(seed));
  const seen = (of: (plan: (typeof plans)[number]) => unknown) => new Set(plans.map(of));
  expect(seen(({ fault }) => fault.kind)).toEqual(
    new Set(['none', 'frame', 'kill', 'cancel', 'pause-link', 'ledger', 'factory']),
  );
  expect(seen(({ fault }) => (fault.kind === 'frame' ? fault.fate : 'none')).size).toBe(6);
  // RAM cannot be compared before GRANT when pages are missing.
  expect(seen(({ parameters }) => `${parameters.mode} ${parameters.verify}`).size).toBe(10);
  expect(seen(({ fault }) => (fault.kind === 'kill' ? fault.side : 'none')).size).toBe(3);
  expect(seen(({ breaks }) => breaks.length)).toEqual(new Set([0, 1, 2, 3]));
  expect(seen(({ preempt, recovery }) => `${preempt} ${recovery.connects}`).size).toBe(4);
  expect(seen(({ journal, operator }) => `${journal} ${operator}`).size).toBe(6);
  expect(seen(({ multifdChannels }) => multifdChannels)).toEqual(new Set([0, 1, 2, 5]));
  expect(seen(({ guest }) => guest.blockPages.length)).toEqual(new Set([1, 2, 3]));
  for (const { guest } of plans) {
    expect(guest.blockPages.reduce((sum, pages) => sum + pages, 0)).toBe(4096);
  }
});
