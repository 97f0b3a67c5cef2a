import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { CrossingKeeper } from './crossing.ts';
import { runSterna } from './sterna-command.ts';
import { portOfNobody } from './strange-peers.ts';
import { WORKLOAD } from './test-guest.ts';

/** `sterna migrate` in a script: its exit code, its closing report, its JSON, and Ctrl-C. */

const keeper = new CrossingKeeper(WORKLOAD, {
  workload: 'memwrite,fill=8M,hot=2M,rate=20000,words=8,step=512',
});

afterEach(({ task }) => keeper.afterEach(task.result?.state));
afterAll(() => keeper.end());

interface JsonLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

function jsonLines(text: string): JsonLine[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonLine);
}

describe('sterna migrate', () => {
  it('exits with 0 and says that the RAM is identical', async () => {
    const crossing = await keeper.get();
    const { here, there } = crossing;
    const run = await runSterna([
      ...['migrate', '--qmp', here.agent.qmpAddress, await crossing.uri(), '--live', '--verbose'],
      ...['--bandwidth', '40', '--downtime', '200', '--comp-methods', 'xbzrle'],
      ...['--comp-xbzrle-cache', '16M'],
    ]);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toMatch(/^Migration completed$/m);
    expect(run.stdout).toMatch(/RAM identical: 4096 pages$/m);
    expect(run.stdout).toMatch(/^ {2}Downtime +\d/m);
    expect(run.stdout).toMatch(/^ {2}Guest-observed +\d/m);
    expect(run.stderr).not.toContain('sterna:');
    expect((await here.query())['xbzrle-cache']?.['cache-size']).toBe(2 ** 24);
    await there.advances();
    crossing.turn();
  });

  it('--json prints progress and a result, as JSON lines and nothing else', async () => {
    const crossing = await keeper.get();
    const run = await runSterna([
      ...['migrate', '--qmp', crossing.here.agent.qmpAddress, await crossing.uri(), '--json'],
      ...['--bandwidth', '10'],
    ]);
    expect(run.exitCode).toBe(0);
    const lines = jsonLines(run.stdout);
    expect(lines.slice(0, -1).map(({ event }) => event)).toEqual(
      lines.slice(0, -1).map(() => 'progress'),
    );
    expect(lines.at(-1)).toMatchObject({
      event: 'result',
      status: 'completed',
      'exit-code': 0,
      'guest-owner': 'destination',
      verify: { status: 'identical', pages: 4096 },
      info: { status: 'completed', 'x-sterna': { owner: 'destination' } },
    });
    crossing.turn();
  });

  it('--mode stop moves a cold guest, also after a live one', async () => {
    const crossing = await keeper.get();
    const { here } = crossing;
    const argv = ['migrate', '--qmp', here.agent.qmpAddress, await crossing.uri()];
    const run = await runSterna([...argv, '--mode', 'stop', '--bandwidth', '0']);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain('RAM identical: 4096 pages');
    expect((await here.query())['x-sterna'].mode).toBe('stop');
    crossing.turn();
    await crossing.succeeds();
  });

  it('exits with 1 and says what, where, who owns the guest and what to do, when nobody listens', async () => {
    const crossing = await keeper.get();
    const { here } = crossing;
    const uri = await portOfNobody();
    const run = await runSterna(['migrate', '--qmp', here.agent.qmpAddress, uri]);
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toMatch(/^Migration failed$/m);
    expect(run.stderr).toMatch(
      /^sterna: .*\[E_CHANNEL_REFUSED\]\n {2}phase setup; at the source; the guest is at the source.*\n {2}next: .*\n$/,
    );
    expect(await here.isRunning()).toBe(true);
    await crossing.succeeds();
  });

  it('exits with 1 after --timeout with --timeout-cancel, and the guest goes on', async () => {
    const crossing = await keeper.get();
    const { here } = crossing;
    const argv = ['migrate', '--qmp', here.agent.qmpAddress, await crossing.uri()];
    const limits = ['--bandwidth', '30', '--downtime', '1', '--timeout', '0.5'];
    const run = await runSterna([...argv, ...limits, '--timeout-cancel']);
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain('[E_PRECOPY_TIMEOUT]');
    expect(await here.isRunning()).toBe(true);
    // The default is to pause the guest and finish, as virsh has it.
    const finished = await runSterna([...argv, ...limits]);
    expect(finished.exitCode).toBe(0);
    expect(finished.stdout).toContain('RAM identical: 4096 pages');
    crossing.turn();
    await crossing.here.set({ 'max-bandwidth': 0 });
  });

  it('exits with 130 when it is interrupted, and the guest goes on', async () => {
    const crossing = await keeper.get();
    const { here, there } = crossing;
    const argv = ['migrate', '--qmp', here.agent.qmpAddress, await crossing.uri()];
    const run = await runSterna([...argv, '--bandwidth', '1'], (child) => {
      void there
        .migration('pass 1', ({ status }) => status === 'active')
        .then(() => child.kill('SIGINT'));
    });
    expect(run.exitCode).toBe(130);
    expect(run.stderr).toContain('[E_CANCELLED]');
    expect(run.stderr).toContain('the guest is at the source');
    await crossing.fails({ source: ['E_CANCELLED'], status: 'cancelled' });
    await here.set({ 'max-bandwidth': 0 });
    await crossing.succeeds();
  });

  it('exits with 4 when the agent goes away in the middle', async () => {
    const crossing = await keeper.get();
    const { stage, here, there } = crossing;
    const argv = ['migrate', '--qmp', here.agent.qmpAddress, await crossing.uri()];
    const run = await runSterna([...argv, '--bandwidth', '1'], () => {
      void there
        .migration('pass 1', ({ status }) => status === 'active')
        .then(() => stage.kill(here));
    });
    expect(run.exitCode).toBe(4);
    expect(run.stderr).toContain('[E_OWNERSHIP_UNKNOWN]');
    await keeper.end();
  });
});

describe('sterna with wrong input', () => {
  const source = ['source', '--name', 'a', '--ram', '16M', '--workload'];

  it.each([
    ['an unknown workload', [...source, 'dance'], 'dance'],
    ['a bad size', [...source, 'memwrite,fill=lots'], 'lots'],
    ['a workload larger than the RAM', [...source, 'memwrite,fill=17M'], '17'],
    ['too little RAM', ['source', '--name', 'a', '--ram', '1M', '--workload', 'idle'], '16M'],
    ['an unknown option', [...source, 'idle', '--fast'], '--fast'],
    ['an address that is none', ['destination', '--name', 'a', '--listen', 'here'], 'here'],
    ['a public port', ['destination', '--name', 'a', '--listen', 'tcp:0.0.0.0:0'], '--insecure'],
    ['a mode that is none', ['migrate', '--qmp', 'unix:/x', 'tcp:h:1', '--mode', 'fast'], 'fast'],
    [
      'two answers',
      ['migrate', '--qmp', 'unix:/x', 'tcp:h:1', '--timeout-cancel', '--timeout-suspend'],
      '--timeout',
    ],
  ])('exits with 2 and one clear line for %s', async (_what, argv, named) => {
    const run = await runSterna(argv);
    expect(run.exitCode).toBe(2);
    expect(run.stdout).toBe('');
    const [first = '', ...rest] = run.stderr.trimEnd().split('\n');
    expect(first).toMatch(/^sterna: [A-Z]|^sterna: [a-z]/);
    expect(run.stderr).toContain(named);
    expect(rest.at(-1)).toMatch(/^ {2}next: /);
    expect(rest.length).toBeLessThanOrEqual(2);
  });
});
