import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * The destination of a post-copy is lost for good. With a journal the guest goes on at the source
 * from the last point, without one from the switch; and if the operator was wrong, one side stops.
 */

interface JournalFields {
  readonly points: number;
  readonly 'last-point-age-ms'?: number;
}

withEveryGuest('a destination that is lost in post-copy', (guest) => {
  let stage: Stage;
  let source: Site;
  let destination: Site;

  beforeEach(() => {
    stage = new Stage(guest);
  });

  async function begin(faults: { source?: string; destination?: string } = {}): Promise<void> {
    const dying = faults.source === undefined ? {} : { fault: faults.source };
    [source, destination] = await Promise.all([
      stage.source('source', { vcpus: 2, ...dying }),
      stage.destination('destination', [], faults.destination),
    ]);
    // Slow enough that pages are missing until the end of the test.
    await source.set({
      'x-mode': 'postcopy',
      'max-postcopy-bandwidth': 2 ** 20,
      'x-postcopy-journal-interval': 20,
      'x-auto-recover': 'off',
    });
  }

  afterEach(() => stage.end());

  const takeBack = () =>
    runSterna(['resume', '--take-ownership', '--qmp', source.agent.qmpAddress]);

  async function journal(): Promise<JournalFields | undefined> {
    const ours = (await source.query())['x-sterna'] as { readonly journal?: JournalFields };
    return ours.journal;
  }

  function hasPoints(points: number): Promise<JournalFields> {
    return until(`${points} points`, async () => {
      const now = await journal();
      return now !== undefined && now.points >= points ? now : undefined;
    });
  }

  async function goesOnAtSource(): Promise<void> {
    expect(await source.runState()).toEqual({ running: true, status: 'running' });
    expect((await source.over())['x-sterna']).toMatchObject({
      owner: 'source',
      epoch: 3,
      error: { code: 'E_TAKEN_BACK', guestOwner: 'source' },
    });
    await source.advances();
    await source.checkGuest();
  }

  it('goes on from the last point of the journal', async () => {
    await begin();
    await source.enable('x-postcopy-journal');
    await source.migrate(listenUri(destination));
    await hasPoints(1);
    const stepsBefore = await source.steps();
    await hasPoints(4);
    await stage.kill(destination);
    await source.hasStatus('postcopy-paused');
    const steps = await source.steps();
    expect(steps).toBeGreaterThan(stepsBefore);
    await expect(source.qmp.execute('cont')).rejects.toMatchObject({
      sternaError: { code: 'E_STATE' },
    });

    const taken = await takeBack();
    expect(taken.stderr).toMatch(/from the last point of the journal \(\d+ ms old\)/);
    expect(taken.exitCode).toBe(0);
    expect(await source.steps()).toBeGreaterThanOrEqual(steps);
    await goesOnAtSource();
    // It can leave again.
    const another = await stage.destination('another');
    await source.set({ 'x-mode': 'precopy' });
    await source.migrate(listenUri(another));
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await another.checkGuest();
  });

  it('goes on from a point whose answer was the last thing that its destination had', async () => {
    await begin({ destination: 'destination.journal-written@3' });
    await source.enable('x-postcopy-journal');
    await source.migrate(listenUri(destination));
    await stage.dies(destination);
    await source.hasStatus('postcopy-paused');
    expect((await journal())?.points).toBe(3);
    const steps = await source.steps();
    expect((await takeBack()).exitCode).toBe(0);
    expect(await source.steps()).toBeGreaterThanOrEqual(steps);
    await goesOnAtSource();
  });

  it('runs on alone when its source dies between a point and its answer', async () => {
    await begin({ source: 'source.journal-applied@2' });
    await source.enable('x-postcopy-journal');
    await source.migrate(listenUri(destination)).catch(() => {});
    await stage.dies(source);
    const paused = await destination.hasStatus('postcopy-paused');
    expect(paused['x-sterna'].owner).toBe('destination');
    expect(await destination.isRunning()).toBe(true);
    await stage.kill(destination);
  });

  it('goes on from the switch without a journal', async () => {
    await begin();
    await source.migrate(listenUri(destination));
    await source.hasStatus('postcopy-active');
    const steps = await source.steps();
    await destination.advances(1000);
    await stage.kill(destination);
    await source.hasStatus('postcopy-paused');
    expect(await source.steps()).toBe(steps);
    const taken = await takeBack();
    expect(taken.stderr).toContain('from the moment of the switch');
    expect(taken.exitCode).toBe(0);
    await goesOnAtSource();
  });

  it('stops its guest when it was there all the time', async () => {
    await begin();
    await source.enable('x-postcopy-journal');
    const link = await stage.link(listenUri(destination), () => 'pass');
    await source.migrate(link.uri);
    await hasPoints(2);
    link.cut();
    await source.hasStatus('postcopy-paused');
    await destination.hasStatus('postcopy-paused');
    expect(await destination.isRunning()).toBe(true);
    expect((await takeBack()).exitCode).toBe(0);
    const told = await destination.hasStatus('failed');
    expect(told['x-sterna']).toMatchObject({
      owner: 'source',
      error: { code: 'E_TAKEN_BACK', guestOwner: 'source' },
    });
    await until('no guest is left there', async () =>
      (await destination.runState()).status === 'inmigrate' ? true : undefined,
    );
    expect(await destination.isRunning()).toBe(false);
    await goesOnAtSource();
    // And it can be sent there again.
    await source.set({ 'max-postcopy-bandwidth': 0 });
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.checkGuest();
  });
});
