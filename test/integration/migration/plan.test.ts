import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AgentPair } from '../../../src/experiments/index.ts';
import type { Plan, PlanScore } from '../../../src/experiments/plan/index.ts';
import { runSterna } from './sterna-command.ts';

/**
 * A plan of a running guest, the migration, and the score. A host with other work stretches a
 * migration, so that one of a few attempts must meet the targets; a plan that is wrong misses in
 * all of them.
 */

const ATTEMPTS = 3;
const BANDWIDTH_MIB = 20;
const LINK_MIB = 800;

interface Case {
  readonly workload: string;
  readonly arguments: readonly string[];
  readonly mode: string;
}

describe('sterna plan', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sterna-plan-'));

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const sterna = async (...argv: readonly string[]) => {
    const run = await runSterna(argv);
    expect(run).toMatchObject({ exitCode: 0 });
    return run.stdout;
  };

  async function booted(pair: AgentPair): Promise<void> {
    for (;;) {
      const info = (await pair.sourceQmp.execute('x-guest-info')) as { readonly booted: boolean };
      if (info.booted) return;
    }
  }

  async function scored({ workload, arguments: options }: Case): Promise<[Plan, PlanScore]> {
    const pair = await AgentPair.start({ ram: '64M', workload });
    try {
      const qmp = pair.source.qmpAddress;
      const saved = join(directory, 'plan.json');
      await booted(pair);
      await pair.sourceQmp.execute('migrate-set-parameters', {
        'max-bandwidth': BANDWIDTH_MIB * 2 ** 20,
      });
      const planned = await sterna(
        ...['plan', '--qmp', qmp, '--seconds', '1', '--bandwidth', String(LINK_MIB)],
        ...['--save', saved],
      );
      expect(planned).toContain('Recommended: ');
      await sterna('migrate', '--qmp', qmp, pair.uri, ...options);
      const score = await sterna('plan', '--qmp', qmp, '--score', saved, '--json');
      return [JSON.parse(readFileSync(saved, 'utf8')) as Plan, JSON.parse(score) as PlanScore];
    } finally {
      await pair.close();
    }
  }

  it.each<Case>([
    { workload: 'idle,fill=24M', arguments: [], mode: 'precopy' },
    { workload: 'memwrite,fill=24M,hot=4M,rate=1000', arguments: [], mode: 'precopy' },
    {
      workload: 'memwrite,fill=24M,hot=8M,rate=20000,words=8,step=512',
      arguments: ['--comp-methods', 'xbzrle'],
      mode: 'precopy',
    },
  ])('foretells the migration of $workload', { timeout: 120_000 }, async (given) => {
    const scores: PlanScore[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const [plan, score] = await scored(given);
      expect(plan.recommendation.mode).toBe(given.mode);
      scores.push(score);
      if (score.total.isWithin && score.data.isWithin && score.downtime.isWithin) return;
    }
    expect(scores.map(({ total, data, downtime }) => ({ total, data, downtime }))).toEqual([]);
  });

  it('says so when there is nothing to score', async () => {
    const pair = await AgentPair.start({ ram: '16M', workload: 'idle' });
    try {
      const qmp = pair.source.qmpAddress;
      const saved = join(directory, 'unused.json');
      await sterna('plan', '--qmp', qmp, '--seconds', '0.1', '--bandwidth', '10', '--save', saved);
      const run = await runSterna(['plan', '--qmp', qmp, '--score', saved]);
      expect(run.exitCode).toBe(1);
      expect(run.stderr).toContain('No migration of this agent has completed');
    } finally {
      await pair.close();
    }
  });
});
