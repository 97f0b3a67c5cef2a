import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { LOST, oneOf } from './crossing.ts';
import type { FrameLink, Judge } from './frame-link.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { withEveryGuest } from './test-guest.ts';

/** One side is killed, as by a crash or the kernel: the other one knows what to do, and says so. */

const SLOW = { 'max-bandwidth': 4 * 2 ** 20 };

withEveryGuest('a migration whose other side is killed', (guest) => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(guest);
  });

  afterEach(() => stage.end());

  function start(): Promise<[Site, Site]> {
    return Promise.all([stage.source('source'), stage.destination('destination')]);
  }

  /** Both sides are in pass 1, with megabytes behind them and more to come. */
  async function inPass1(source: Site, destination: Site): Promise<undefined> {
    await source.set(SLOW);
    await source.migrate(listenUri(destination));
    await destination.migration('a MiB of pass 1', ({ status, ram }) => {
      return status === 'active' && (ram.transferred ?? 0) > 2 ** 20;
    });
  }

  async function goesOnAtSource(source: Site): Promise<void> {
    const reply = await source.over();
    expect(reply).toMatchObject({
      status: 'failed',
      'x-sterna': { owner: 'source', error: { code: oneOf(LOST), guestOwner: 'source' } },
    });
    expect(await source.runState()).toEqual({ running: true, status: 'running' });
    await source.advances();
    await source.checkGuest();
  }

  async function movesTo(destination: Site, source: Site): Promise<void> {
    await source.set({ 'max-bandwidth': 0 });
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.advances();
    await destination.checkGuest();
  }

  /** A link that holds the frame, so that the moment lasts as long as a test wants. */
  async function heldAt(source: Site, destination: Site, name: string): Promise<FrameLink> {
    const judge: Judge = (frame) => (frame.name === name ? 'hold' : 'pass');
    const link = await stage.link(listenUri(destination), judge);
    await source.migrate(link.uri);
    await until(name, () => link.isHeld || undefined);
    return link;
  }

  it('goes on at the source when the destination is killed in pass 1', async () => {
    const [source, destination] = await start();
    await inPass1(source, destination);
    await stage.kill(destination);
    await goesOnAtSource(source);
    await movesTo(await stage.destination('another'), source);
  });

  it('goes on at the source when the destination is killed in the pause', async () => {
    const [source, destination] = await start();
    const link = await heldAt(source, destination, 'SWITCHOVER_ACK');
    expect(await source.isRunning()).toBe(false);
    await stage.kill(destination);
    link.cut();
    await goesOnAtSource(source);
    await movesTo(await stage.destination('another'), source);
  });

  it('stays paused at the source when the destination is killed with GRANT on its way', async () => {
    const [source, destination] = await start();
    const link = await heldAt(source, destination, 'GRANT');
    await stage.kill(destination);
    link.cut();
    const reply = await source.over();
    expect(reply['x-sterna']).toMatchObject({
      owner: 'unknown',
      error: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    expect(await source.isRunning()).toBe(false);
    await source.qmp.execute('cont', { 'x-take-ownership': true });
    await source.advances();
    await source.checkGuest();
    await movesTo(await stage.destination('another'), source);
  });

  it.each(['pass 1', 'the pause'])(
    'leaves a clean destination when the source is killed in %s',
    async (when) => {
      const [source, destination] = await start();
      const link =
        when === 'pass 1'
          ? await inPass1(source, destination)
          : await heldAt(source, destination, 'SWITCHOVER');
      await stage.kill(source);
      link?.cut();
      const cut = await destination.migration(
        'a failed arrival',
        ({ status }) => status === 'failed',
      );
      expect(cut['x-sterna']).toMatchObject({
        owner: 'source',
        error: { code: oneOf(LOST), guestOwner: 'source' },
      });
      expect(await destination.runState()).toEqual({ running: false, status: 'inmigrate' });
      const another = await stage.source('another');
      await movesTo(destination, another);
      // After the switch its death changes nothing.
      await stage.kill(another);
      await destination.advances();
      await destination.checkGuest();
    },
  );

  it('ends in an orderly manner when the source is told to end in pass 1', async () => {
    const [source, destination] = await start();
    await inPass1(source, destination);
    await stage.stop(source);
    const reply = await destination.over();
    expect(reply['x-sterna']).toMatchObject({ owner: 'source', error: { guestOwner: 'source' } });
    await movesTo(destination, await stage.source('another'));
  });
});
