import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { artifactUrl } from '../../../src/base/index.ts';
import { QmpClient, type QmpEvent } from '../../../src/control/index.ts';

/** How an agent ends, in a process of its own. */

const CONTROL = artifactUrl(
  './index.js',
  new URL('../../../src/control/index.ts', import.meta.url).href,
);
const PROGRAM = `
  import { startAgent } from ${JSON.stringify(CONTROL.href)};
  const machine = { ramBytes: 16 * 2 ** 20, vcpuCount: 1, workload: 'idle', seed: 1 };
  const stateDir = process.argv[1];
  const agent = await startAgent({ name: 'child', role: 'source', machine, qmp: [], stateDir, logLevel: 'silent' });
  console.log(JSON.stringify(agent.ready));
  process.exit(await agent.closed);
`;

describe('startAgent()', () => {
  let stateDir: string;
  let child: ChildProcess | undefined;

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'sterna-lifecycle-'));
  });

  afterEach(() => {
    child?.kill('SIGKILL');
    rmSync(stateDir, { recursive: true, force: true });
  });

  async function startChild(): Promise<{
    qmp: QmpClient;
    events: QmpEvent[];
    process: ChildProcess;
  }> {
    const started = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, stateDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = started;
    const [line] = (await once(started.stdout, 'data')) as [Buffer];
    const ready = JSON.parse(line.toString()) as { qmp: string[]; pid: number };
    expect(ready).toMatchObject({ name: 'child', pid: started.pid, listen: null });
    const qmp = await QmpClient.connect(ready.qmp[0] ?? '');
    const events: QmpEvent[] = [];
    qmp.onEvent((event) => events.push(event));
    return { qmp, events, process: started };
  }

  it.each(['SIGTERM', 'SIGINT'] as const)('ends in an orderly manner on %s', async (signal) => {
    const { qmp, events, process: agent } = await startChild();
    const exited = once(agent, 'exit');
    agent.kill(signal);
    await qmp.closed;
    expect(await exited).toEqual([0, null]);
    expect(events).toMatchObject([
      { event: 'SHUTDOWN', data: { guest: false, reason: 'host-signal' } },
    ]);
    expect(existsSync(join(stateDir, 'agent.lock'))).toBe(false);
    expect(existsSync(join(stateDir, 'qmp.sock'))).toBe(false);
  });

  it('ends on quit, which is answered first', async () => {
    const { qmp, events, process: agent } = await startChild();
    const exited = once(agent, 'exit');
    expect(await qmp.execute('quit')).toEqual({});
    await qmp.closed;
    expect(await exited).toEqual([0, null]);
    expect(events).toMatchObject([{ event: 'SHUTDOWN', data: { reason: 'host-qmp-quit' } }]);
  });

  it('starts again in the same directory when the last agent was killed', async () => {
    const killed = await startChild();
    const exited = once(killed.process, 'exit');
    killed.process.kill('SIGKILL');
    await exited;
    expect(existsSync(join(stateDir, 'agent.lock'))).toBe(true);
    const { qmp, process: agent } = await startChild();
    expect(await qmp.execute('query-status')).toEqual({ running: true, status: 'running' });
    const ended = once(agent, 'exit');
    qmp.execute('quit').catch(() => {});
    expect(await ended).toEqual([0, null]);
  });
});
