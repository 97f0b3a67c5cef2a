// 13. What `sterna plan` foretells, against the migrations that follow: the table of docs/plan.md.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AgentPair, sternaExecutable } from '../dist/experiments/index.js';
import { summary } from '../dist/experiments/measuring/index.js';
import { booted } from './migration.mjs';

const MIB = 2 ** 20;
const RUNS = 5;
const SECONDS = 3;
const RATE_MIB = 40;
const SPARSE = 'words=8,step=512';

/** Of the time, of the data, and the larger downtime over the smaller one. */
const TARGETS = { total: 0.2, data: 0.15, downtimeFactor: 2 };

/** A row of the table. `rateMib`: max-bandwidth, 0 for none. */
const CASES = [
  { row: 'idle', guest: 'idle', workload: 'idle,fill=64M', flags: [] },
  {
    row: 'below',
    guest: '2,000 pages/s over 8 MiB (below the link)',
    workload: 'memwrite,fill=64M,hot=8M,rate=2000',
    flags: [],
  },
  {
    row: 'near',
    guest: '8,000 pages/s over 16 MiB (near the link)',
    workload: 'memwrite,fill=64M,hot=16M,rate=8000',
    flags: [],
  },
  {
    row: 'deltas',
    guest: '20,000 pages/s over 16 MiB (above the link)',
    workload: `memwrite,fill=64M,hot=16M,rate=20000,${SPARSE}`,
    flags: ['--comp-methods', 'xbzrle'],
  },
  {
    // What its first pass leaves takes about as long as the downtime limit: two outcomes, by chance.
    row: 'hybrid',
    guest: '20,000 pages/s over 16 MiB (above the link)',
    workload: `memwrite,fill=64M,hot=16M,rate=20000,${SPARSE}`,
    flags: ['--mode', 'hybrid'],
  },
  {
    // No pass leaves what keeps the limit: post-copy follows.
    row: 'hybrid-wide',
    guest: '20,000 pages/s over 32 MiB',
    workload: `memwrite,fill=64M,hot=32M,rate=20000,${SPARSE}`,
    flags: ['--mode', 'hybrid'],
  },
  {
    row: 'hybrid-deltas',
    guest: '20,000 pages/s over 16 MiB (above the link)',
    workload: `memwrite,fill=64M,hot=16M,rate=20000,${SPARSE}`,
    flags: ['--mode', 'hybrid', '--comp-methods', 'xbzrle'],
  },
  {
    row: 'zipf',
    guest: '8,000 pages/s, zipf over 32 MiB',
    workload: 'memwrite,fill=64M,hot=32M,rate=8000,pattern=zipf',
    flags: [],
  },
  {
    row: 'auto-converge',
    guest: 'all of a core, 3 % of it writes, over 24 MiB, slowed',
    workload: 'memwrite,fill=48M,hot=24M,read=97,words=1024,step=4',
    flags: ['--auto-converge'],
  },
  {
    row: 'auto-converge-paced',
    guest: '48,000 pages/s over 24 MiB, a quarter of a core, slowed',
    workload: 'memwrite,fill=48M,hot=24M,rate=400000,read=88,words=1024,step=4',
    flags: ['--auto-converge'],
  },
  {
    row: 'text',
    guest: '1,000 pages/s over 8 MiB, text',
    workload: 'memwrite,fill=64M,hot=8M,rate=1000,content=text',
    flags: ['--codec', 'auto'],
  },
  {
    row: 'postcopy',
    guest: '8,000 pages/s over 16 MiB',
    workload: 'memwrite,fill=64M,hot=16M,rate=8000',
    flags: ['--mode', 'postcopy'],
    rateMib: 0,
  },
];

const run = promisify(execFile);

async function sterna(...argv) {
  const { stdout } = await run(process.execPath, [sternaExecutable(), ...argv]);
  return stdout;
}

/** One plan, the migration of the row, and the score. */
async function scored({ workload, flags, rateMib = RATE_MIB }, seconds, saved) {
  const pair = await AgentPair.start({ ram: '128M', workload });
  try {
    const qmp = pair.source.qmpAddress;
    await booted(pair.sourceQmp);
    await pair.sourceQmp.execute('migrate-set-parameters', { 'max-bandwidth': rateMib * MIB });
    const looks = ['--seconds', String(seconds), '--to', pair.uri, '--save', saved];
    const plan = JSON.parse(await sterna('plan', '--qmp', qmp, ...looks, '--json'));
    await sterna('migrate', '--qmp', qmp, pair.uri, ...flags);
    const score = JSON.parse(await sterna('plan', '--qmp', qmp, '--score', saved, '--json'));
    return { plan, score };
  } finally {
    await pair.close();
  }
}

function chosenCases(smoke, only) {
  if (only !== undefined) return CASES.filter(({ row }) => row === only);
  return smoke ? CASES.slice(0, 1) : CASES;
}

function errorsOf(runs) {
  return {
    totalError: summary(runs.map(({ score }) => score.total.error)),
    dataError: summary(runs.map(({ score }) => score.data.error)),
    downtimeFactor: summary(runs.map(({ score }) => score.downtime.error)),
    predictedMs: summary(runs.map(({ score }) => score.total.predicted.expected)),
    totalMs: summary(runs.map(({ score }) => score.total.actual)),
    predictedDowntimeMs: summary(runs.map(({ score }) => score.downtime.predicted.expected)),
    downtimeMs: summary(runs.map(({ score }) => score.downtime.actual)),
    within: {
      total: runs.filter(({ score }) => score.total.isWithin).length,
      data: runs.filter(({ score }) => score.data.isWithin).length,
      downtime: runs.filter(({ score }) => score.downtime.isWithin).length,
    },
  };
}

export const plan = {
  name: 'plan',
  rows: CASES.map(({ row }) => row),
  async run({ smoke, row: only, record }) {
    const directory = mkdtempSync(join(tmpdir(), 'sterna-bench-plan-'));
    try {
      for (const row of chosenCases(smoke, only)) {
        const runs = [];
        for (let count = 0; count < (smoke ? 1 : RUNS); count += 1) {
          runs.push(await scored(row, smoke ? 0.5 : SECONDS, join(directory, 'plan.json')));
        }
        const [{ plan: first, score }] = runs;
        record({
          row: row.row,
          guest: row.guest,
          workload: row.workload,
          mode: score.row.mode,
          codec: score.row.codec,
          slowing: score.row.slowing,
          rateMib: row.rateMib ?? RATE_MIB,
          linkBytesPerSecond: Math.round(first.link.bytesPerMs * 1000),
          recommended: first.recommendation.mode,
          ...errorsOf(runs),
          targets: TARGETS,
        });
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};
