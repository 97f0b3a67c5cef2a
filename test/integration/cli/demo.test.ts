import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { sternaExecutable } from '../../../src/experiments/index.ts';

const SMALL = ['demo', '--ram', '64M', '--bandwidth', '0'];

interface DemoRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Process numbers of source and destination, as the demo tells them. */
  readonly agents: readonly number[];
}

/** Runs a demo; `onAgents` is called when both agents are known. */
function runDemo(
  argv: readonly string[],
  onAgents?: (kill: (signal: NodeJS.Signals) => void) => void,
) {
  return new Promise<DemoRun>((resolve) => {
    const child = spawn(process.execPath, [sternaExecutable(), ...argv]);
    let stdout = '';
    let stderr = '';
    let agents: number[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      stdout += `${line}\n`;
      const found = [...line.matchAll(/process (\d+)/g)].map(([, pid]) => Number(pid));
      if (found.length !== 2) return;
      agents = found;
      onAgents?.((signal) => child.kill(signal));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
    });
    child.once('close', (exitCode, signal) =>
      resolve({ exitCode, signal, stdout, stderr, agents }),
    );
  });
}

/** Resolves when none of the processes exists any more; a test's own limit ends the wait. */
async function gone(pids: readonly number[]): Promise<void> {
  expect(pids).toHaveLength(2);
  while (pids.some((pid) => existsSync(`/proc/${pid}/cmdline`))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('sterna demo moves the guest, proves that the RAM is identical, and leaves no process', async () => {
  const run = await runDemo(SMALL);
  expect(run.stderr).not.toContain('sterna:');
  expect(run.stdout).toContain('RAM identical: 16384 pages');
  expect(run.stdout).toMatch(/Downtime +\d/);
  expect(run.exitCode).toBe(0);
  await gone(run.agents);
});

test('sterna demo --json prints JSON lines only, the last of them the result', async () => {
  const run = await runDemo([...SMALL, '--json']);
  const lines = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.slice(0, -1).every(({ event }) => event === 'progress')).toBe(true);
  expect(lines.at(-1)).toMatchObject({
    event: 'result',
    status: 'completed',
    'exit-code': 0,
    'guest-owner': 'destination',
    verify: { status: 'identical', pages: 16_384 },
    info: { 'x-sterna': { owner: 'destination' } },
  });
});

test('sterna demo ends both agents when it is interrupted', async () => {
  const run = await runDemo(SMALL, (kill) => kill('SIGINT'));
  expect(run.exitCode).toBe(130);
  await gone(run.agents);
});

test('sterna demo takes both agents along when it is killed', async () => {
  const run = await runDemo(SMALL, (kill) => kill('SIGKILL'));
  expect(run.signal).toBe('SIGKILL');
  await gone(run.agents);
});

test('sterna demo refuses a workload that does not exist, as wrong usage', async () => {
  const run = await runDemo([...SMALL, '--workload', 'nonsense']);
  expect(run.exitCode).not.toBe(0);
  expect(run.stderr).toMatch(/^sterna: /m);
  expect(run.stderr).toContain('nonsense');
});
