import { quantile, rounded } from '../../measuring/index.ts';
import type { Figures } from '../figures.ts';
import { allIdentical, holds, valuesOf } from '../judge.ts';
import type { MigrationSpec, Scenario } from '../scenario.ts';

/** A light mix. */
export const BLACKOUT_LOADS: Readonly<Record<string, string>> = {
  idle: 'idle,fill=16M',
  read: 'memwrite,fill=16M,hot=4M,rate=1000,read=95',
  write: 'memwrite,fill=16M,hot=2M,rate=500,words=8,step=512',
  frames: 'stream,fill=16M,ring=1M,frame=16K,fps=25,change=20',
};

export function blackouts(runs: (variant: string) => readonly Figures[]): number[] {
  return Object.keys(BLACKOUT_LOADS).flatMap((load) => valuesOf(runs(load), 'downtimeMs'));
}

export const blackout: Scenario = {
  number: 19,
  name: 'blackout',
  title: 'Distribution of the downtime over a light mix',
  source: 'Google, VEE 2018',
  published: '50 ms at the median, 300 ms at the 99th percentile',
  criterion: 'median at most 50 ms, 99th percentile at most 300 ms, over at least 100 runs',
  baseline: '',
  improved: 'idle; read; write; frames',
  settings: '32 MiB over 125 MB/s, defaults and a downtime limit of 50 ms, 25 runs of each load',
  repetitions: 25,
  variants: () =>
    Object.fromEntries(
      Object.entries(BLACKOUT_LOADS).map(([load, workload]) => {
        const spec: MigrationSpec = {
          ram: '32M',
          workload,
          linkBytesPerSecond: 125_000_000,
          parameters: { 'downtime-limit': 50 },
        };
        return [load, spec];
      }),
    ),
  judge(runs) {
    const all = blackouts(runs);
    const [p50, p99] = [quantile(all, 0.5), quantile(all, 0.99)];
    const isWhole = allIdentical(...Object.keys(BLACKOUT_LOADS).map((load) => runs(load)));
    return {
      ours: `p50 ${rounded(p50)} ms, p99 ${rounded(p99)} ms, largest ${rounded(Math.max(...all))} ms, ${all.length} runs`,
      direction: 'none',
      ratio: all.length < 100 ? 'none' : holds(p50 <= 50 && p99 <= 300 && isWhole),
    };
  },
};
