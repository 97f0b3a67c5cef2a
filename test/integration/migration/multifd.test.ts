import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { clientKey, newAuthority, serverKey, writeTlsDirectory } from '../../support/test-keys.ts';
import { until } from '../../support/until.ts';
import { CrossingKeeper } from './crossing.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';
import { WORKLOAD, withEveryGuest } from './test-guest.ts';

/** Several connections for pages, between processes: there, back, with keys, and lost. */

const keeper = new CrossingKeeper(WORKLOAD, {
  workload: 'memwrite,fill=8M,hot=2M,rate=20000,words=8,step=512',
});

describe('sterna migrate --parallel', () => {
  afterEach(({ task }) => keeper.afterEach(task.result?.state));
  afterAll(() => keeper.end());

  it('moves a guest with deltas there, and by itself for a file it is off again', async () => {
    const crossing = await keeper.get();
    const { here, there } = crossing;
    const run = await runSterna([
      ...['migrate', '--qmp', here.agent.qmpAddress, await crossing.uri()],
      ...['--parallel', '--parallel-connections', '3', '--comp-methods', 'xbzrle'],
    ]);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stdout).toMatch(/RAM identical: 4096 pages$/m);
    const [sent, came] = [await here.query(), await there.query()];
    expect(sent.ram['multifd-bytes']).toBeGreaterThan(6 * 2 ** 20);
    expect(came.ram['multifd-bytes']).toBe(sent.ram['multifd-bytes']);
    await there.advances();
    crossing.turn();
  });

  it('needs --parallel for its number of connections', async () => {
    const crossing = await keeper.get();
    const run = await runSterna([
      ...['migrate', '--qmp', crossing.here.agent.qmpAddress, await crossing.uri()],
      ...['--parallel-connections', '3'],
    ]);
    expect(run.exitCode).not.toBe(0);
    expect(run.stderr).toContain('--parallel-connections needs --parallel');
    await crossing.here.advances();
  });

  it('is refused for a file, before anything is written', async () => {
    const crossing = await keeper.get();
    const { here } = crossing;
    await here.enable('multifd');
    const uri = `file:${join(crossing.stage.directory, 'parallel.sterna')}`;
    await expect(here.qmp.execute('migrate', { uri })).rejects.toThrow('A file has one stream');
    await here.enable('multifd', false);
    await here.advances();
  });
});

withEveryGuest('multifd between processes', (guest) => {
  const stage = new Stage(guest);
  afterAll(() => stage.end());

  it('has its keys on every connection, and goes on into post-copy', async () => {
    const authority = await newAuthority();
    const keys = writeTlsDirectory(join(stage.directory, 'keys'), {
      authority,
      server: await serverKey(authority),
      client: await clientKey(authority),
    });
    const here = await stage.source('tls-here', { more: ['--tls-dir', keys] });
    const there = await stage.destination('tls-there', ['--tls-dir', keys]);
    for (const capability of ['multifd', 'postcopy-ram', 'postcopy-preempt', 'xbzrle']) {
      await here.enable(capability);
    }
    await here.set({ 'x-mode': 'hybrid', 'multifd-channels': 4, 'downtime-limit': 0 });
    await here.migrate(listenUri(there));
    const reply = await here.proven();
    expect(reply['x-sterna'].verify.status).toBe('identical');
    expect(reply.ram['multifd-bytes']).toBeGreaterThan(6 * 2 ** 20);
    expect(reply.ram['postcopy-bytes']).toBeGreaterThan(0);
    await there.advances();
    await there.checkGuest();
  });

  it('that loses its destination leaves the guest where it is', async () => {
    const here = await stage.source('lost-here');
    const there = await stage.destination('lost-there');
    await here.enable('multifd');
    await here.set({ 'max-bandwidth': 2e6 });
    await here.migrate(listenUri(there));
    await until(
      'pages are under way',
      async () => ((await here.query()).ram?.['multifd-bytes'] ?? 0) > 1e6 || undefined,
    );
    await stage.kill(there);
    const { status, 'x-sterna': more } = await here.over();
    expect({ status, owner: more.owner }).toEqual({ status: 'failed', owner: 'source' });
    await here.advances();
    // And to the next one, over as many connections.
    const next = await stage.destination('next-there');
    await here.set({ 'max-bandwidth': 0 });
    await here.migrate(listenUri(next));
    expect((await here.proven())['x-sterna'].verify.status).toBe('identical');
    await next.checkGuest();
  });
});
