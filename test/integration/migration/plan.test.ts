import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AgentPair } from '../../../src/experiments/index.ts';
import type { Plan, PlanScore } from '../../../src/experiments/plan/index.ts';
import { until } from '../../support/until.ts';
import { runSterna } from './sterna-command.ts';

/**
 * A plan of a running guest, the migration that follows, and the score: what does not hang on how
 * busy this host is. How well time and downtime are foretold is for `npm run bench -- plan`.
 */

const MIB = 2 ** 20;
const BANDWIDTH_MIB = 20;

interface Case {
  readonly workload: string;
  readonly mode: string;
  readonly codec: string;
}

describe('sterna plan', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sterna-plan-'));

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const sterna = async (...argv: readonly string[]) => {
    const run = await runSterna(argv);
    expect(run).toMatchObject({ exitCode: 0 });
    return run.stdout;
  };

  /** A pair whose guest has filled its RAM, with a limit below any link. */
  async function booted(workload: string): Promise<AgentPair> {
    const pair = await AgentPair.start({ ram: '64M', workload });
    await until('the guest to boot', async () => {
      const info = (await pair.sourceQmp.execute('x-guest-info')) as { readonly booted: boolean };
      return info.booted ? true : undefined;
    });
    await pair.sourceQmp.execute('migrate-set-parameters', {
      'max-bandwidth': BANDWIDTH_MIB * MIB,
    });
    return pair;
  }

  function expectWhole({ total, downtime, data }: PlanScore): void {
    for (const { predicted, actual } of [total, downtime, data]) {
      expect(predicted.low).toBeLessThanOrEqual(predicted.expected);
      expect(predicted.expected).toBeLessThanOrEqual(predicted.high);
      expect(predicted.expected).toBeGreaterThan(0);
      expect(actual).toBeGreaterThan(0);
    }
    expect(data).toMatchObject({ isWithin: true });
  }

  it.each<Case>([
    { workload: 'idle,fill=24M', mode: 'precopy', codec: 'raw' },
    { workload: 'memwrite,fill=24M,hot=4M,rate=500', mode: 'precopy', codec: 'raw' },
    {
      workload: 'memwrite,fill=24M,hot=8M,rate=20000,words=8,step=512',
      mode: 'precopy',
      codec: 'xbzrle',
    },
  ])(
    'foretells what $workload sends, and recommends $mode, $codec',
    { timeout: 120_000 },
    async ({ workload, mode, codec }) => {
      const pair = await booted(workload);
      try {
        const qmp = pair.source.qmpAddress;
        const saved = join(directory, 'plan.json');
        const planned = await sterna(
          ...['plan', '--qmp', qmp, '--seconds', '1', '--to', pair.uri, '--save', saved],
        );
        expect(planned).toContain(`Recommended: --mode ${mode}`);
        const plan = JSON.parse(readFileSync(saved, 'utf8')) as Plan;
        expect(plan.recommendation).toMatchObject({ mode, codec });
        expect(plan.rows).toHaveLength(13);
        expect(plan.link.bytesPerMs).toBeGreaterThan(0);
        expect(plan.link.roundTripMs).toBeGreaterThan(0);
        const flags = codec === 'xbzrle' ? ['--comp-methods', 'xbzrle'] : [];
        await sterna('migrate', '--qmp', qmp, pair.uri, ...flags);
        const score = await sterna('plan', '--qmp', qmp, '--score', saved, '--json');
        expectWhole(JSON.parse(score) as PlanScore);
        const text = await sterna('plan', '--qmp', qmp, '--score', saved);
        for (const target of ['20 %: ', '2 x: ', '15 %: met']) expect(text).toContain(target);
      } finally {
        await pair.close();
      }
    },
  );

  it('migrates by its own plan with migrate --plan', { timeout: 120_000 }, async () => {
    const pair = await booted('memwrite,fill=24M,hot=8M,rate=20000,words=8,step=512');
    try {
      const out = await sterna(
        ...['migrate', '--qmp', pair.source.qmpAddress, pair.uri, '--plan', '--json'],
      );
      const lines = out.trim().split('\n');
      const objects = lines.map((line) => JSON.parse(line));
      expect(objects[0]).toMatchObject({
        event: 'plan',
        plan: { recommendation: { mode: 'precopy', codec: 'xbzrle' } },
      });
      const result = objects.at(-1);
      expect(result).toMatchObject({
        ...{ event: 'result', status: 'completed', 'guest-owner': 'destination' },
        verify: { status: 'identical' },
        score: { row: { mode: 'precopy', codec: 'xbzrle' } },
      });
      expectWhole(result.score);
    } finally {
      await pair.close();
    }
  });

  it('asks a policy of the user, in its thread', { timeout: 60_000 }, async () => {
    const pair = await booted('memwrite,fill=24M,hot=4M,rate=500');
    try {
      const policy = new URL('../../../examples/policy.mjs', import.meta.url).pathname;
      const looks = ['--seconds', '0.2', '--bandwidth', '50', '--policy', policy, '--json'];
      const plan = await sterna('plan', '--qmp', pair.source.qmpAddress, ...looks);
      expect(JSON.parse(plan)).toMatchObject({ policy });
      expect(JSON.parse(plan).policyFallback).toBeUndefined();
    } finally {
      await pair.close();
    }
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
