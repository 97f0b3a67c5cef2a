import { describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import {
  countHistory,
  noHistories,
  simulationPrinter,
} from '../../../src/cli/report/simulation-report.ts';
import { type HistoryResult, planHistory } from '../../../src/experiments/simulation/index.ts';
import { fakeContext } from '../../support/cli-context.ts';

const FAILED: HistoryResult = {
  seed: 17,
  plan: planHistory(17),
  attempts: [],
  violations: ['1.000 ms: a and b run the guest', '2.000 ms: a runs the guest after GRANT'],
  digest: 'abc',
  eventCount: 12,
  simulatedMs: 1500,
  tail: ['2.000 a resumed ownership'],
};

async function run(...argv: string[]) {
  const fake = fakeContext();
  const exitCode = await runCli(fake.context, '1.2.3', argv);
  return { exitCode, stdout: fake.stdout(), stderr: fake.stderr() };
}

describe('sterna sim', () => {
  test('prints a summary and nothing else when all is well', async () => {
    const { exitCode, stdout, stderr } = await run('sim', '--seed', '5', '--count', '2');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^2 histories, 0 with violations; \d+ migrations, [^\n]+\n$/);
    expect(stderr).toBe('');
  });

  test('prints the last events, the plan and the digest when one seed is replayed', async () => {
    const [first, second] = [await run('sim', '--seed', '6'), await run('sim', '--seed', '6')];
    expect(first.exitCode).toBe(0);
    expect(first.stdout).toMatch(/^plan: \{"seed":6,/m);
    expect(first.stdout).toMatch(/^digest: [0-9a-f]{64}$/m);
    expect(second.stdout).toBe(first.stdout);
  });

  test('prints JSON lines when asked to', async () => {
    const { stdout } = await run('sim', '--seed', '5', '--count', '1', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ event: 'summary', histories: 1 });
  });

  test('names the rule, the seed and the command that replays it when one is broken', () => {
    const fake = fakeContext();
    const totals = noHistories();
    const print = simulationPrinter(fake.context, 'text');
    countHistory(totals, FAILED);
    print.history(FAILED);
    print.summary(totals);
    const [line, summary] = fake.stdout().split('\n');
    expect(line).toBe(
      'seed 17: 1.000 ms: a and b run the guest, and 1 more; replay: sterna sim --seed 17',
    );
    expect(summary).toMatch(/^1 histories, 1 with violations; .* 1\.5 s simulated, 12 events$/);
  });

  test('has everything for a report in JSON when one is broken', () => {
    const fake = fakeContext();
    simulationPrinter(fake.context, 'json').history(FAILED);
    expect(JSON.parse(fake.stdout())).toMatchObject({
      event: 'violation',
      seed: 17,
      violations: FAILED.violations,
      replay: 'sterna sim --seed 17',
    });
  });
});
