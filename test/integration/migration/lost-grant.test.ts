import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import type { FrameLink, Verdict } from './frame-link.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * The link dies around GRANT. Nobody guesses; at most one side runs; the command line says so and
 * says what decides.
 */

withEveryGuest('a link that is lost around GRANT', (guest) => {
  let stage: Stage;
  let source: Site;
  let destination: Site;

  beforeEach(async () => {
    stage = new Stage(guest);
    [source, destination] = await Promise.all([
      stage.source('source'),
      stage.destination('destination'),
    ]);
  });

  afterEach(() => stage.end());

  const sterna = (command: string, ...more: string[]) =>
    runSterna([command, '--qmp', source.agent.qmpAddress, ...more]);

  /** Over a link that does not come back by itself. */
  async function migrateOverLinkThatDoes(message: string, verdict: Verdict): Promise<FrameLink> {
    // So long the source tries to ask.
    await source.qmp.execute('migrate-set-parameters', { 'x-stall-timeout': 1000 });
    const link = await stage.link(listenUri(destination), ({ name }) => {
      if (name !== message) return 'pass';
      link.refuse();
      return verdict;
    });
    const run = await sterna('migrate', link.uri);
    expect(run.exitCode).toBe(4);
    expect(run.stderr).toContain('[E_OWNERSHIP_UNKNOWN]');
    expect(run.stderr).toContain('which side owns the guest is not known');
    expect(run.stderr).toMatch(/next: .*sterna recover --take-ownership/);
    expect(run.stdout).toContain('Migration failed');
    expect((await source.query())['x-sterna']).toMatchObject({
      owner: 'unknown',
      error: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    expect(await source.isRunning()).toBe(false);
    return link;
  }

  /** Neither QMP nor the command line lets the guest run at the source without a decision. */
  async function expectNotResumable(): Promise<void> {
    await expect(source.qmp.execute('cont')).rejects.toMatchObject({
      sternaError: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    const resumed = await sterna('resume');
    expect(resumed.exitCode).toBe(4);
    expect(resumed.stderr).toContain('[E_OWNERSHIP_UNKNOWN]');
    await expect(source.migrate(listenUri(destination))).rejects.toMatchObject({
      sternaError: { code: 'E_STATE' },
    });
    expect(await source.isRunning()).toBe(false);
  }

  it('before GRANT has crossed it leaves nobody running until the operator decides', async () => {
    await migrateOverLinkThatDoes('GRANT', 'cut');
    const told = await destination.hasStatus('failed');
    expect(told['x-sterna']).toMatchObject({ owner: 'source', error: { guestOwner: 'source' } });
    expect(await destination.isRunning()).toBe(false);
    await expectNotResumable();

    const taken = await sterna('resume', '--take-ownership');
    expect(taken.exitCode).toBe(0);
    expect(taken.stderr).toContain('Never start it at the other side');
    await source.advances();
    await source.checkGuest();
    expect(await destination.isRunning()).toBe(false);
    // Epoch 2 may have been granted, 3 was taken, and the next hand-over makes it 4.
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna']).toMatchObject({
      epoch: 4,
      verify: { status: 'identical' },
    });
    await destination.checkGuest();
  });

  it.each([
    ['after GRANT has crossed', 'GRANT', 'pass-and-cut'],
    ['when the answer to GRANT is on its way', 'RESUMED', 'cut'],
  ] as const)(
    '%s it leaves the guest running at the destination only',
    async (_when, message, verdict) => {
      await migrateOverLinkThatDoes(message, verdict);
      const told = await destination.hasStatus('completed');
      expect(told['x-sterna']).toMatchObject({ owner: 'destination', epoch: 2 });
      await expectNotResumable();
      await destination.advances();
      await destination.checkGuest();
      const [before, after] = [await source.steps(), await source.steps()];
      expect(after).toBe(before);

      // Nor does a restart of the source bring it back. What it has become since does, with an
      // epoch beyond that in doubt.
      await stage.kill(source);
      const state = ['--state-dir', stage.stateDirectory('source')];
      const restarted = await stage.destination('restarted', state);
      expect(await restarted.runState()).toEqual({ running: false, status: 'inmigrate' });
      await destination.migrate(listenUri(restarted));
      expect((await destination.proven())['x-sterna'].epoch).toBe(3);
      await restarted.checkGuest();
    },
  );

  it('the source asks over a new connection, and goes on when GRANT never came', async () => {
    const link = await stage.link(listenUri(destination), ({ name }) =>
      name === 'GRANT' ? 'cut' : 'pass',
    );
    const run = await sterna('migrate', link.uri);
    expect(run.exitCode).toBe(1);
    expect((await source.query())['x-sterna']).toMatchObject({
      owner: 'source',
      error: { guestOwner: 'source' },
    });
    expect(link.seen).toContain('destination RECOVERY');
    await source.advances();
    await source.checkGuest();
    expect(await destination.isRunning()).toBe(false);
  });

  it.each([
    ['GRANT', 'pass-and-cut'],
    ['RESUMED', 'cut'],
  ] as const)(
    'the source asks over a new connection, and learns that it was granted (%s %s)',
    async (message, verdict) => {
      const link = await stage.link(listenUri(destination), ({ name }) =>
        name === message ? verdict : 'pass',
      );
      const run = await sterna('migrate', link.uri);
      expect(run.stderr).toBe('');
      expect(run.exitCode).toBe(0);
      expect((await source.query())['x-sterna']).toMatchObject({
        owner: 'destination',
        epoch: 2,
        verify: { status: 'skipped' },
      });
      expect(await source.isRunning()).toBe(false);
      await destination.advances();
      await destination.checkGuest();
    },
  );

  it('the source asks on, and the guest goes on here when GRANT never came', async () => {
    const link = await migrateOverLinkThatDoes('GRANT', 'cut');
    await link.admit();
    const told = await source.migration(
      'an answer',
      (reply) => reply['x-sterna'].owner === 'source',
    );
    expect(told).toMatchObject({
      status: 'failed',
      'x-sterna': { error: { guestOwner: 'source' } },
    });
    await source.advances();
    await source.checkGuest();
    // And it can leave anew, at the epoch that was tried.
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna'].epoch).toBe(2);
    await destination.checkGuest();
  });

  it('the source asks on, and its migration is completed when GRANT had come', async () => {
    const link = await migrateOverLinkThatDoes('RESUMED', 'cut');
    await link.admit();
    const told = await source.hasStatus('completed');
    expect(told['x-sterna']).toMatchObject({ owner: 'destination', epoch: 2 });
    await expect(source.qmp.execute('cont')).rejects.toMatchObject({
      sternaError: { code: 'E_STATE', guestOwner: 'destination' },
    });
    await destination.advances();
    expect(await source.runState()).toEqual({ running: false, status: 'postmigrate' });
  });

  it('a destination that had it after all gives it up when it is told, and can have it again', async () => {
    await source.qmp.execute('migrate-set-parameters', { 'x-stall-timeout': 1000 });
    let isDown = false;
    const link = await stage.link(listenUri(destination), ({ name }) => {
      isDown ||= name === 'RESUMED';
      return isDown ? 'cut' : 'pass';
    });
    expect((await sterna('migrate', link.uri)).exitCode).toBe(4);
    await destination.hasStatus('completed');
    expect((await sterna('resume', '--take-ownership')).exitCode).toBe(0);
    isDown = false;
    const told = await destination.hasStatus('failed');
    expect(told['x-sterna']).toMatchObject({
      owner: 'source',
      error: { code: 'E_TAKEN_BACK', guestOwner: 'source' },
    });
    expect(await destination.runState()).toEqual({ running: false, status: 'postmigrate' });
    await expect(destination.qmp.execute('cont', { 'x-take-ownership': true })).rejects.toThrow();
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.checkGuest();
  });

  it('a destination that has it gives it up also to a source that was started anew', async () => {
    await source.migrate(listenUri(destination));
    await source.proven();
    const { UUID } = (await source.qmp.execute('query-uuid')) as { UUID: string };
    const state = ['--state-dir', stage.stateDirectory('source')];
    await stage.kill(source);
    const more = [...state, '--uuid', UUID, '--take-ownership'];
    const anew = await stage.source('anew', { more });
    const told = await destination.hasStatus('failed');
    expect(told['x-sterna']).toMatchObject({ owner: 'source', error: { code: 'E_TAKEN_BACK' } });
    expect(await destination.isRunning()).toBe(false);
    await anew.advances();
    // Nobody has to be told any more.
    const note = join(stage.stateDirectory('source'), 'ownership', `${UUID}.hand-over`);
    await until('the note is gone', () => (existsSync(note) ? undefined : true));
    await anew.migrate(listenUri(destination));
    expect((await anew.proven())['x-sterna'].verify.status).toBe('identical');
  });

  it('--take-ownership is refused where nothing is in doubt', async () => {
    await source.migrate(listenUri(destination));
    await source.proven();
    const taken = await sterna('resume', '--take-ownership');
    expect(taken.exitCode).toBe(1);
    expect(taken.stderr).toContain('[E_STATE]');
    expect(await source.isRunning()).toBe(false);
    expect(await destination.isRunning()).toBe(true);
  });
});
