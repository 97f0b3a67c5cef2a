import { allEnded, allIdentical, holds, reduction, shown, timesSmaller } from '../judge.ts';
import type { MigrationSpec, Scenario, ScenarioSize } from '../scenario.ts';
import { SLOW_LINK, sized, vanilla, withDelta } from './precopy-pair.ts';

function memoryWrite(size: ScenarioSize): MigrationSpec {
  return sized(
    size,
    {
      ram: '16M',
      workload: 'lmbench,fill=12M,size=8M,unit=4,stride=1K,rate=9200',
      parameters: { 'x-timeout': 2_000 },
    },
    {
      ram: '64M',
      workload: 'lmbench,fill=56M,size=32M,unit=4,stride=1K,rate=9200',
      parameters: { 'x-timeout': 12_000 },
    },
  );
}

export const memoryWriteDelta: Scenario = {
  number: 1,
  name: 'memory-write',
  title: 'LMbench memory write: plain pre-copy and delta compression',
  source: 'Svärd et al., VEE 2011',
  published: 'downtime cut by a factor of 100',
  criterion: 'downtime at least 50 times smaller; both complete',
  baseline: 'vanilla',
  improved: 'delta',
  settings:
    '64 MiB, 32 MiB hot, 4 words of each page, dirtied at 3.0 x the link of 12.5 MB/s, cache 64 MiB; the plain one is suspended after 12 s',
  repetitions: 10,
  variants: (size) => ({
    vanilla: vanilla(memoryWrite(size)),
    delta: withDelta(memoryWrite(size)),
  }),
  judge(runs) {
    const [plain, delta] = [runs('vanilla'), runs('delta')];
    const times = timesSmaller(plain, delta, 'downtimeMs');
    const isWhole = allEnded('completed', plain, delta) && allIdentical(plain, delta);
    return {
      ours: `downtime ${reduction(plain, delta, 'downtimeMs')}`,
      direction: holds(times > 1 && isWhole),
      ratio: holds(times >= 50 && isWhole),
    };
  },
};

/** How fast memory is dirtied in relation to the link. */
export const REGION_RATES = [0.5, 1.5, 6] as const;

export const regions: Scenario = {
  number: 1,
  name: 'regions',
  title: 'Where delta compression decides: D < B, B < D < B′, D > B′',
  source: 'derived from Svärd et al., VEE 2011',
  published: 'no figure; little to gain below B, all to gain up to B′, nothing above',
  criterion: 'downtime ratio at least 10 in the middle, and below 3 on both sides of it',
  baseline: 'vanilla',
  improved: 'delta',
  settings:
    '32 MiB, 16 MiB hot, every fourth word of 256 changes, so that a delta is about 0.38 of its page; dirtied at 0.5, 1.5 and 6 x the link of 12.5 MB/s',
  repetitions: 3,
  variants(size) {
    const pairs = REGION_RATES.flatMap((rate) => {
      const pages = Math.round((rate * SLOW_LINK) / 4096);
      const [ram, fill, hot] = size.smoke ? ['16M', '8M', '4M'] : ['32M', '28M', '16M'];
      const spec: MigrationSpec = {
        ram,
        workload: `memwrite,fill=${fill},hot=${hot},rate=${pages},words=256,step=16`,
        linkBytesPerSecond: SLOW_LINK,
        parameters: { 'x-timeout': size.smoke ? 2_000 : 8_000 },
      };
      return [
        [`vanilla ${rate}`, vanilla(spec)],
        [`delta ${rate}`, withDelta(spec)],
      ];
    });
    return Object.fromEntries(pairs) as Readonly<Record<string, MigrationSpec>>;
  },
  judge(runs) {
    const times = REGION_RATES.map((rate) =>
      timesSmaller(runs(`vanilla ${rate}`), runs(`delta ${rate}`), 'downtimeMs'),
    );
    const [below = 0, within = 0, above = 0] = times;
    return {
      ours: REGION_RATES.map(
        (rate) =>
          `D = ${rate} B: ${reduction(runs(`vanilla ${rate}`), runs(`delta ${rate}`), 'downtimeMs')}`,
      ).join('; '),
      direction: holds(within > below && within > above),
      ratio: holds(within >= 10 && below < 3 && above < 3),
    };
  },
};

export const loadGenerator: Scenario = {
  number: 4,
  name: 'load-generator',
  title: 'The load generator of the XBZRLE patches',
  source: 'XBZRLE patch v3 and QEMU documentation',
  published: 'without XBZRLE it never completes; with it 110 s',
  criterion: 'without delta compression the run reaches its limit; with it, it completes',
  baseline: 'vanilla',
  improved: 'delta',
  settings:
    '48 MiB, a byte of each KiB of 16 MiB, dirtied at 3.3 x the link of 12.5 MB/s; given up after 20 s',
  repetitions: 3,
  variants(size) {
    const spec = sized(
      size,
      {
        ram: '16M',
        workload: 'lmbench,fill=12M,size=8M,unit=1,stride=1K,rate=10000',
        parameters: { 'x-timeout': 3_000, 'x-timeout-action': 'cancel' },
      },
      {
        ram: '48M',
        workload: 'lmbench,fill=40M,size=16M,unit=1,stride=1K,rate=10000',
        parameters: { 'x-timeout': 20_000, 'x-timeout-action': 'cancel' },
      },
    );
    return { vanilla: vanilla(spec), delta: withDelta(spec) };
  },
  judge(runs) {
    const [plain, delta] = [runs('vanilla'), runs('delta')];
    const never = plain.length > 0 && plain.every(({ status }) => status !== 'completed');
    const completes = allEnded('completed', delta) && allIdentical(delta);
    return {
      ours: `${never ? 'given up' : 'completed'} after ${shown(plain, 'totalMs')} -> ${completes ? 'completed' : 'not completed'} after ${shown(delta, 'totalMs')}, downtime ${shown(delta, 'downtimeMs')}`,
      direction: holds(never && completes),
      ratio: 'none',
    };
  },
};
