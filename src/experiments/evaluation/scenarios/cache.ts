import { rounded } from '../../measuring/index.ts';
import { holds, middle } from '../judge.ts';
import type { MigrationSpec, Scenario } from '../scenario.ts';

/** Cache over hot set. */
export const CACHE_SHARES = [0.25, 0.5, 1, 2] as const;
const MIB = 2 ** 20;

export const cacheSweep: Scenario = {
  number: 21,
  name: 'cache-sweep',
  title: 'Hit rate of the delta cache as it grows past the hot set',
  source: 'Cully et al., NSDI 2008 (Remus)',
  published: 'hit rate 99 % with 8192 pages on a kernel build; the stream becomes 10:1',
  criterion:
    'hit rate at least 90 % and deltas 10:1 with a cache of 2 x the hot set; below 60 % with half of it',
  baseline: '0.25',
  improved: '2',
  settings:
    '32 MiB, 16 MiB hot in sequence, 4 words of each page, dirtied at 3.0 x the limit of 12.5 MB/s; suspended after 8 s',
  repetitions: 3,
  variants: ({ smoke }) =>
    Object.fromEntries(
      CACHE_SHARES.map((share) => {
        const hotMib = smoke ? 4 : 16;
        const spec: MigrationSpec = {
          ram: `${hotMib * 2}M`,
          workload: `lmbench,fill=${hotMib * 2 - 2}M,size=${hotMib}M,unit=4,stride=1K,rate=9200`,
          capabilities: ['xbzrle'],
          parameters: {
            // Only passes count here, not the pause: the limit is a fair link for them.
            'max-bandwidth': 12_500_000,
            'x-policy': 'qemu',
            // So little that it goes on for the whole time.
            'downtime-limit': 0,
            'x-reorder': 'off',
            'xbzrle-cache-size': share * hotMib * MIB,
            'x-timeout': smoke ? 2_000 : 8_000,
            'x-timeout-action': 'suspend',
          },
        };
        return [String(share), spec];
      }),
    ),
  judge(runs) {
    const rates = CACHE_SHARES.map((share) => middle(runs(String(share)), 'hitRate') * 100);
    const deltaRatio = middle(runs('2'), 'deltaRatio');
    const [, half = 0, whole = 0, twice = 0] = rates;
    return {
      ours: `hit rate ${CACHE_SHARES.map((share, index) => `${rounded(rates[index] ?? 0)} % at ${share}`).join(', ')} of the hot set; deltas ${rounded(deltaRatio)}:1`,
      direction: holds(whole > half * 1.3),
      ratio: holds(twice >= 90 && deltaRatio >= 10 && half < 60),
    };
  },
};
