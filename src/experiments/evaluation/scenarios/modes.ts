import { median, rounded, spread } from '../../measuring/index.ts';
import type { Figures } from '../figures.ts';
import { allIdentical, holds, middle, shown, valuesOf } from '../judge.ts';
import type { MigrationSpec, Scenario } from '../scenario.ts';

const LINK = 25_000_000;
const MODES = ['precopy', 'postcopy', 'hybrid'] as const;
const LOADS = ['idle', 'read', 'write'] as const;

function load(name: (typeof LOADS)[number], fill: string, hot: string): string {
  if (name === 'idle') return `idle,fill=${fill}`;
  const memwrite = `memwrite,fill=${fill},hot=${hot},pattern=zipf,rate=5000,words=64,step=64`;
  return name === 'read' ? `${memwrite},read=95` : memwrite;
}

function inMode(mode: (typeof MODES)[number]): Pick<MigrationSpec, 'parameters' | 'capabilities'> {
  const precopy = {
    'x-policy': 'qemu',
    'x-reorder': 'off',
    'downtime-limit': 30,
    'x-timeout': 15_000,
    'x-timeout-action': 'suspend',
  };
  return mode === 'precopy'
    ? { parameters: precopy }
    : { parameters: { 'x-mode': mode, 'downtime-limit': 5 }, capabilities: ['postcopy-ram'] };
}

export const approaches: Scenario = {
  number: 8,
  name: 'approaches',
  title: 'Pre-copy, post-copy and hybrid under three loads',
  source: 'Svärd et al., UMINF 12.11',
  published:
    'no figure; pre-copy: downtime depends on the load; post-copy: least data, faults after the switch; hybrid: between',
  criterion: 'while it writes: data post-copy <= hybrid < pre-copy; faults hybrid < post-copy',
  baseline: 'pre-copy; post-copy',
  improved: 'hybrid',
  settings:
    '128 MiB over 25 MB/s; idle, 95 % reads, and writes of 64 words by Zipf over 112 MiB at 5,000 accesses/s; hybrid after one pass, unless pre-copy ends in that; pre-copy is suspended after 15 s',
  repetitions: 3,
  variants({ smoke }) {
    const [ram, fill, hot] = smoke ? ['16M', '12M', '12M'] : ['128M', '112M', '112M'];
    const all = LOADS.flatMap((name) =>
      MODES.map((mode) => [
        `${mode} ${name}`,
        { ram, workload: load(name, fill, hot), linkBytesPerSecond: LINK, ...inMode(mode) },
      ]),
    );
    return Object.fromEntries(all) as Readonly<Record<string, MigrationSpec>>;
  },
  judge(runs) {
    const data = (mode: string) => middle(runs(`${mode} write`), 'sentBytes');
    const faults = (mode: string) => middle(runs(`${mode} write`), 'faults');
    const all = LOADS.flatMap((name) => MODES.map((mode) => runs(`${mode} ${name}`)));
    const row = (name: string) =>
      `${name}: ${MODES.map((mode) => {
        const these = runs(`${mode} ${name}`);
        const isSplit = valuesOf(these, 'faults').length > 0;
        const waited = isSplit ? `, ${shown(these, 'faults')} faults` : '';
        return `${mode} ${shown(these, 'sentBytes')}, downtime ${shown(these, 'downtimeMs')}${waited}`;
      }).join('; ')}`;
    return {
      ours: LOADS.map(row).join('. '),
      direction: holds(
        // A percent: frames and control messages of a run differ.
        data('postcopy') <= data('hybrid') * 1.01 &&
          data('hybrid') < data('precopy') &&
          faults('hybrid') < faults('postcopy') &&
          allIdentical(...all),
      ),
      ratio: 'none',
    };
  },
};

const FLAT_RAMS = ['64M', '256M'] as const;

export const flatDowntime: Scenario = {
  number: 9,
  name: 'flat-downtime',
  title: 'Downtime of post-copy over loads and sizes',
  source: 'Fernando et al. (V-Recover)',
  published: '7 to 11.6 ms from idle to busy, on 1 GbE',
  criterion: 'largest over smallest median at most 3, over loads and over sizes',
  baseline: 'idle',
  improved: 'read; write',
  settings: 'post-copy of 64 and 256 MiB over 125 MB/s; idle, 95 % reads, writes',
  repetitions: 5,
  variants({ smoke }) {
    const all = (smoke ? (['16M'] as const) : FLAT_RAMS).flatMap((ram) =>
      LOADS.map((name) => [
        `${ram} ${name}`,
        {
          ram,
          workload: load(name, smoke ? '8M' : '48M', smoke ? '4M' : '16M'),
          linkBytesPerSecond: 125_000_000,
          ...inMode('postcopy'),
        },
      ]),
    );
    return Object.fromEntries(all) as Readonly<Record<string, MigrationSpec>>;
  },
  judge(runs) {
    const cells = FLAT_RAMS.flatMap((ram) => LOADS.map((name) => `${ram} ${name}`));
    const medians = cells.map((cell) => middle(runs(cell), 'downtimeMs'));
    const known = medians.filter(Number.isFinite);
    const ratio = Math.max(...known) / Math.min(...known);
    return {
      ours: `${cells.map((cell) => `${cell} ${shown(runs(cell), 'downtimeMs')}`).join('; ')}; largest over smallest ${rounded(ratio)}`,
      direction: 'none',
      ratio: holds(ratio <= 3),
    };
  },
};

/** Of what the guest accessed while pages were missing; each page counts once. */
function waitedShares(runs: readonly Figures[], ramPages: number): number[] {
  return runs.flatMap(({ faults, accesses }) =>
    faults === undefined || accesses === undefined
      ? []
      : [(faults / Math.min(accesses, ramPages)) * 100],
  );
}

export const prePaging: Scenario = {
  number: 10,
  name: 'pre-paging',
  title: 'Pages outward from the faults, and in ascending order',
  source: 'Hines and Gopalan, VEE 2009',
  published: 'network faults within 21 % of the working set (17 % on the project page)',
  criterion:
    'share of accesses that wait at most half of that in ascending order, and at most 30 %',
  baseline: 'sequential',
  improved: 'bubbling',
  settings:
    'post-copy of 512 MiB, a guest that walks through all of it at 4,000 accesses/s, the push limited to 125 MB/s, which was the link of the publication',
  repetitions: 3,
  variants({ smoke }) {
    const [ram, push] = smoke ? ['16M', 25_000_000] : ['512M', 125_000_000];
    const order = (name: string): MigrationSpec => ({
      ram,
      workload: `memwrite,fill=${ram},hot=${ram},pattern=walk,rate=4000`,
      capabilities: ['postcopy-ram'],
      parameters: {
        'x-mode': 'postcopy',
        'max-postcopy-bandwidth': push,
        'x-postcopy-order': name,
      },
    });
    return { sequential: order('sequential'), bubbling: order('bubbling') };
  },
  judge(runs) {
    const pages = 131_072;
    const plain = waitedShares(runs('sequential'), pages);
    const bubbling = waitedShares(runs('bubbling'), pages);
    const ratio = median(bubbling) / median(plain);
    const faults = (variant: string) => spread(valuesOf(runs(variant), 'faults'));
    return {
      ours: `faults over pages accessed ${spread(plain)} % -> ${spread(bubbling)} %, ${faults('sequential')} -> ${faults('bubbling')} faults`,
      direction: holds(ratio < 1),
      ratio: holds(ratio <= 0.5 && median(bubbling) <= 30),
    };
  },
};
