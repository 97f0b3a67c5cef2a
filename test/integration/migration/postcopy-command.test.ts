import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CREEPING, GUEST, postcopyOf, switched, UNLIMITED } from './postcopy-stage.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';

/** Post-copy by the command line, as people and scripts use it. */

describe('the command line in post-copy', { timeout: 60_000 }, () => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage();
  });

  afterEach(() => stage.end());

  const sterna = (site: Site, command: string, ...more: readonly string[]) =>
    runSterna([command, '--qmp', site.agent.qmpAddress, ...more]);

  it('migrates, switches on command, and reports', async () => {
    const [source, destination] = await Promise.all([
      stage.source('source', GUEST),
      stage.destination('destination'),
    ]);
    await source.advances(1000);
    await source.set(CREEPING);
    const argv = [
      ...['migrate', '--qmp', source.agent.qmpAddress, listenUri(destination), '--verbose'],
      ...['--postcopy', '--postcopy-preempt', '--bandwidth', '8', '--downtime', '0'],
    ];
    const migrating = runSterna(argv, (child) => {
      // It polls: post-copy lasts until it has told of it.
      let text = '';
      child.stderr?.on('data', (more: string) => {
        text += more;
        if (text.includes('post-copy, ')) void source.set(UNLIMITED);
      });
    });
    await source.migration('pre-copy', ({ ram }) => (ram?.transferred ?? 0) > 2 ** 20);
    expect(await sterna(source, 'postcopy')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const run = await migrating;
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).toContain('post-copy, ');
    expect(run.stdout).toMatch(/^ {2}Post-copy +[\d,]+ pages after the guest/m);
    expect(run.stdout).toMatch(/^ {2}Waits +vCPUs blocked/m);
    expect(run.stdout).toMatch(/RAM identical: 4096 pages$/m);
    const info = await sterna(destination, 'info');
    expect(info.stdout).toMatch(/^Postcopy requests: \d+$/m);
    expect(info.stdout).toMatch(/^Post-copy: +[\d,]+ pages after the guest/m);
    await destination.checkGuest();
  });

  it('tells a script that the link is lost, and goes on elsewhere', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    const following = sterna(source, 'migrate', '--postcopy-resume');
    expect(await sterna(source, 'cancel')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('the guest is at the destination'),
    });
    expect(await sterna(source, 'pause-migration')).toMatchObject({ exitCode: 0 });
    const lost = await following;
    expect(lost).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('sterna migrate --postcopy-resume'),
    });
    expect(lost.stdout).toMatch(/^Migration without a link, in post-copy$/m);
    await destination.hasStatus('postcopy-paused');
    const listening = await sterna(destination, 'recover', 'tcp:127.0.0.1:0');
    expect(listening).toMatchObject({ exitCode: 0, stderr: '' });
    await source.set(UNLIMITED);
    const uri = listening.stdout.trim();
    const resumed = await sterna(source, 'migrate', '--postcopy-resume', uri, '--json');
    expect(resumed).toMatchObject({ exitCode: 0 });
    const result = JSON.parse(resumed.stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(result).toMatchObject({ event: 'result', verify: { status: 'identical' } });
    expect(postcopyOf(result.info).recoveries).toBe(1);
    await destination.checkGuest();
  });

  it('leaves the migration alone when it is interrupted', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    const argv = ['migrate', '--qmp', source.agent.qmpAddress, '--postcopy-resume', '--json'];
    const run = await runSterna(argv, (child) => {
      // Its first line says that it follows.
      child.stdout?.once('data', () => child.kill('SIGINT'));
    });
    expect(run).toMatchObject({
      exitCode: 130,
      stderr: expect.stringContaining('which goes on without this command'),
    });
    expect(await source.query()).toMatchObject({ status: 'postcopy-active' });
    await source.set(UNLIMITED);
    await source.proven();
    await destination.checkGuest();
  });
});
