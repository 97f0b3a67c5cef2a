import { quantile } from '../measuring/index.ts';
import type { Figures } from './figures.ts';
import { middle, type NumberField } from './judge.ts';
import { type BarChart, barChart, lineChart, type Series } from './plots/index.ts';
import { type RecordsOf, runsOf } from './record.ts';
import type { Scenario } from './scenario.ts';
import { BLACKOUT_LOADS, blackouts } from './scenarios/blackout.ts';
import { CACHE_SHARES } from './scenarios/cache.ts';
import { REGION_RATES } from './scenarios/delta.ts';
import { ABLATION } from './scenarios/order.ts';

export interface Drawing {
  readonly file: string;
  readonly caption: string;
  readonly svg: string;
}

const MIB = 2 ** 20;
/** Those whose baseline and improved are single variants of a whole migration. */
const COMPARED: readonly string[] = [
  ...['memory-write', 'streaming', 'sessions', 'load-generator', 'skewed-writer'],
  ...['streaming-order', 'smart-stop', 'compression'],
];

/** Every drawing for which something was measured. Pure. */
export function drawingsOf(
  scenarios: readonly Scenario[],
  recordsOf: RecordsOf,
): readonly Drawing[] {
  const drawings = [
    comparison(scenarios, recordsOf),
    remaining(recordsOf),
    regions(recordsOf),
    knee(recordsOf),
    ablation(recordsOf),
    distribution(recordsOf),
  ];
  return drawings.filter((drawing) => drawing !== undefined);
}

function panelsOf(
  rows: readonly { readonly label: string; readonly variants: readonly (readonly Figures[])[] }[],
): BarChart['panels'] {
  const panel = (title: string, field: NumberField, divisor: number) => ({
    title,
    groups: rows.map(({ label, variants }) => ({
      label,
      values: variants.map((runs) => middle(runs, field) / divisor),
    })),
  });
  return [
    { ...panel('downtime, ms (log)', 'downtimeMs', 1), isLogarithmic: true },
    panel('total time, s', 'totalMs', 1000),
    panel('data, MiB', 'sentBytes', MIB),
  ];
}

function comparison(scenarios: readonly Scenario[], recordsOf: RecordsOf): Drawing | undefined {
  const rows = scenarios.flatMap(({ name, number, baseline, improved }) => {
    const records = recordsOf(name);
    if (!COMPARED.includes(name) || records.length === 0) return [];
    const runs = runsOf(records);
    return [{ label: `${number} ${name}`, variants: [runs(baseline), runs(improved)] }];
  });
  if (rows.length === 0) return undefined;
  return {
    file: 'comparison.svg',
    caption: 'Downtime, total time and data, baseline and improved, medians.',
    svg: barChart({
      title: 'Baseline and improved',
      variants: ['baseline', 'improved'],
      panels: panelsOf(rows),
    }),
  };
}

function ablation(recordsOf: RecordsOf): Drawing | undefined {
  const records = recordsOf('ablation');
  if (records.length === 0) return undefined;
  const runs = runsOf(records);
  return {
    file: 'ablation.svg',
    caption: 'Reordering and delta compression, each alone and together, medians.',
    svg: barChart({
      title: 'What each of the two is worth',
      variants: ABLATION,
      panels: panelsOf([
        { label: 'skewed writer', variants: ABLATION.map(runs) },
        { label: 'mild', variants: [runs('neither mild'), runs('reorder mild')] },
      ]),
    }),
  };
}

function remaining(recordsOf: RecordsOf): Drawing | undefined {
  const curves = ['memory-write', 'skewed-writer'].flatMap((scenario) => {
    const runs = runsOf(recordsOf(scenario));
    const variants = scenario === 'memory-write' ? ['vanilla', 'delta'] : ['neither', 'both'];
    return variants.flatMap((variant): Series[] => {
      const [first] = runs(variant);
      if (first === undefined) return [];
      const points = first.passes.map(
        ({ remainingBytes }, pass) => [pass + 1, remainingBytes / MIB] as const,
      );
      return [
        {
          name: `${scenario === 'memory-write' ? 1 : 5} ${variant}`,
          points: points.slice(0, PASSES_SHOWN),
        },
      ];
    });
  });
  if (curves.length === 0) return undefined;
  return {
    file: 'remaining.svg',
    caption: `What remains when each pass begins, first run of each; the first ${PASSES_SHOWN} passes.`,
    svg: lineChart({
      title: 'Remaining memory per pass',
      xTitle: 'pass',
      yTitle: 'MiB to send (log)',
      isYLogarithmic: true,
      series: curves,
    }),
  };
}

const PASSES_SHOWN = 20;

function regions(recordsOf: RecordsOf): Drawing | undefined {
  const records = recordsOf('regions');
  if (records.length === 0) return undefined;
  const runs = runsOf(records);
  const series = ['vanilla', 'delta'].map((variant) => ({
    name: variant,
    points: REGION_RATES.map(
      (rate) => [rate, middle(runs(`${variant} ${rate}`), 'downtimeMs')] as const,
    ),
  }));
  return {
    file: 'regions.svg',
    caption: 'Downtime below the link’s rate, between it and B′, and above B′.',
    svg: lineChart({
      title: 'The three regions',
      xTitle: 'dirty rate over link, D / B (log)',
      yTitle: 'downtime, ms (log)',
      isXLogarithmic: true,
      isYLogarithmic: true,
      series,
      marks: [
        { x: 1, label: 'D = B' },
        { x: 1 / 0.38, label: 'D = B′' },
      ],
    }),
  };
}

function knee(recordsOf: RecordsOf): Drawing | undefined {
  const records = recordsOf('cache-sweep');
  if (records.length === 0) return undefined;
  const runs = runsOf(records);
  const points = CACHE_SHARES.map(
    (share) => [share, middle(runs(String(share)), 'hitRate') * 100] as const,
  );
  return {
    file: 'knee.svg',
    caption: 'Hit rate of the delta cache; the knee is where it is as large as the hot set.',
    svg: lineChart({
      title: 'The knee of the cache',
      xTitle: 'cache over hot set',
      yTitle: 'hit rate, %',
      series: [{ name: 'hit rate', points }],
      marks: [{ x: 1, label: 'cache = hot set' }],
    }),
  };
}

function distribution(recordsOf: RecordsOf): Drawing | undefined {
  const records = recordsOf('blackout');
  if (records.length === 0) return undefined;
  const runs = runsOf(records);
  const curveOf = (name: string, samples: readonly number[]): Series => ({
    name,
    points: Array.from(samples, (_, index) => {
      const share = (index + 1) / samples.length;
      return [quantile(samples, share), share * 100] as const;
    }),
  });
  return {
    file: 'blackout.svg',
    caption: 'Share of migrations whose downtime is at most that long.',
    svg: lineChart({
      title: 'Distribution of the downtime',
      xTitle: 'downtime, ms (log)',
      yTitle: '% of migrations',
      isXLogarithmic: true,
      series: [
        curveOf('all', blackouts(runs)),
        ...Object.keys(BLACKOUT_LOADS).map((load) =>
          curveOf(
            load,
            runs(load).flatMap(({ downtimeMs }) => (downtimeMs === undefined ? [] : [downtimeMs])),
          ),
        ),
      ],
    }),
  };
}
