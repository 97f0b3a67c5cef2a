import { rounded } from '../../measuring/index.ts';
import type { Figures } from '../figures.ts';
import { allEnded, allIdentical, holds, middle, shown, valuesOf } from '../judge.ts';
import type { MigrationSpec, RunsOf, Scenario } from '../scenario.ts';

const LINK = 50_000_000;
const MODES = ['stop', 'postcopy', 'hybrid', 'precopy'] as const;
const LOADS = { redis: 'redis-load', sqlite: 'sqlite-load', stream: 'stream' } as const;
type Mode = (typeof MODES)[number];
type Load = keyof typeof LOADS;
/** Frames and control messages of a run differ. */
const SLACK = 1.02;

function spec(load: Load, mode: Mode): MigrationSpec {
  const isLater = mode === 'postcopy' || mode === 'hybrid';
  return {
    ram: '256M',
    linux: { init: LOADS[load] },
    linkBytesPerSecond: LINK,
    parameters: {
      'x-mode': mode,
      // What decides of pre-copy is seen at a limit that its last pages do not fit into at once.
      ...(mode === 'stop' ? {} : { 'downtime-limit': 30 }),
      ...(mode === 'hybrid' ? { 'x-postcopy-after-passes': 1 } : {}),
    },
    ...(isLater ? { capabilities: ['postcopy-ram'] } : {}),
  };
}

function rowOf(load: Load, runs: RunsOf): string {
  const modes = MODES.map((mode) => {
    const these = runs(`${mode} ${load}`);
    const hasFaults = valuesOf(these, 'faults').length > 0;
    const faults = hasFaults ? `, ${shown(these, 'faults')} faults` : '';
    const gap = longestGapMs(these);
    return `${mode} ${shown(these, 'sentBytes')}, downtime ${shown(these, 'downtimeMs')}${faults}, longest silence ${rounded(gap)} ms`;
  });
  return `${load}: ${modes.join('; ')}`;
}

function longestGapMs(runs: readonly Figures[]): number {
  return Math.max(...runs.map(({ client }) => client?.longestMs ?? Number.NaN));
}

export const linux: Scenario = {
  number: 24,
  name: 'linux',
  title: 'Debian on the RISC-V machine, with redis, sqlite and a paced stream inside',
  source: 'this project',
  published: 'no figure',
  criterion:
    'under each load and in each mode RAM is identical, and the load inside tells of nothing wrong and goes on where the guest went; the downtime of stop is the longest; data stop <= post-copy <= hybrid <= pre-copy',
  baseline: 'stop',
  improved: 'precopy; postcopy; hybrid',
  settings:
    '256 MiB over 50 MB/s; redis: each round replaces 256 keys of 1 KiB and checks the values before; sqlite: batches of 500 rows and a check of count, sum and soundness after each; stream: a line every 40 ms or so; silence is counted from the begin of the migration, and redis tells once a second at most; hybrid after one pass; downtime limit 30 ms',
  repetitions: 3,
  variants({ smoke }) {
    if (smoke) return { 'precopy redis': spec('redis', 'precopy') };
    const loads = Object.keys(LOADS) as Load[];
    const all = loads.flatMap((load) =>
      MODES.map((mode): [string, MigrationSpec] => [`${mode} ${load}`, spec(load, mode)]),
    );
    return Object.fromEntries(all);
  },
  judge(runs) {
    const loads = Object.keys(LOADS) as Load[];
    const groups = loads.flatMap((load) => MODES.map((mode) => runs(`${mode} ${load}`)));
    const neverFailed = groups
      .flat()
      .every(
        ({ client }) =>
          client?.damagedFrames === 0 && client.lostFrames === 0 && client.sessionsAlive === 1,
      );
    const data = (load: Load, mode: Mode) => middle(runs(`${mode} ${load}`), 'sentBytes');
    const downtime = (load: Load, mode: Mode) => middle(runs(`${mode} ${load}`), 'downtimeMs');
    const isOrdered = loads.every((load) =>
      MODES.slice(1).every(
        (mode, index) => data(load, MODES[index] ?? mode) <= data(load, mode) * SLACK,
      ),
    );
    const isStopLongest = loads.every((load) =>
      MODES.slice(1).every((mode) => downtime(load, mode) < downtime(load, 'stop')),
    );
    return {
      ours: loads.map((load) => rowOf(load, runs)).join('. '),
      direction: holds(isStopLongest && isOrdered),
      ratio: holds(allEnded('completed', ...groups) && allIdentical(...groups) && neverFailed),
    };
  },
};
