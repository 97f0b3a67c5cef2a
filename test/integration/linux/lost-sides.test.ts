import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { clientKey, newAuthority, serverKey, writeTlsDirectory } from '../../support/test-keys.ts';
import { until } from '../../support/until.ts';
import type { Site } from '../migration/site.ts';
import { listenUri, Stage } from '../migration/stage.ts';
import { runSterna } from '../migration/sterna-command.ts';
import { debianGuest } from './debian-guest.ts';
import { imageOrSkip, LINUX_LIMIT_MS } from './linux-stage.ts';

/**
 * One side of a migration of a Debian is lost, before the switch, around GRANT and in post-copy. It
 * boots once, and lies in a file; each test has it out of that, in a place that knows of nothing.
 */

/** Much of it is missing for as long as a test wants. */
const SLOW_POSTCOPY = { 'x-mode': 'postcopy', 'max-postcopy-bandwidth': 2 ** 21 };

interface Sterna {
  readonly journal?: { readonly points: number };
  readonly spill?: { readonly status: string; readonly path: string };
}

describe('Debian whose other side is lost', { timeout: LINUX_LIMIT_MS }, () => {
  let stage: Stage | undefined;
  let saving: Promise<string> | undefined;

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(stage?.logs());
  });
  afterAll(() => stage?.end());

  async function stageOf(skip: (why: string) => void): Promise<Stage> {
    stage ??= new Stage(debianGuest(await imageOrSkip(skip)));
    return stage;
  }

  async function save(on: Stage): Promise<string> {
    const source = await on.source('first');
    await on.guest.isAtWork(source);
    const uri = `file:${join(on.directory, 'debian.sterna')}`;
    await source.set({ 'x-mode': 'stop' });
    await source.migrate(uri);
    await source.hasStatus('completed');
    await on.stop(source);
    return uri;
  }

  /** It works at the first, and the second one waits for it. */
  async function pairOf(on: Stage, more: readonly string[] = []): Promise<[Site, Site]> {
    saving ??= save(on);
    const here = await on.destination(`here-${on.siteCount}`, ['--listen', await saving, ...more]);
    const arrived = await here.hasStatus('completed');
    expect(arrived['x-sterna'].verify.status).toBe('identical');
    await here.checkGuest();
    return [here, await on.destination(`there-${on.siteCount}`, more)];
  }

  async function moves(here: Site, there: Site): Promise<void> {
    await here.set({ 'x-mode': 'precopy', 'max-bandwidth': 0 });
    await here.migrate(listenUri(there));
    expect((await here.proven())['x-sterna'].verify.status).toBe('identical');
    await there.checkGuest();
  }

  /** A guest that is not needed any more leaves the processors to the others. */
  async function end(on: Stage, ...sites: readonly Site[]): Promise<void> {
    for (const site of sites) await on.stop(site);
  }

  function oursHas<T>(site: Site, what: string, read: (ours: Sterna) => T | undefined): Promise<T> {
    return until(what, async () => read((await site.query())['x-sterna'] as unknown as Sterna));
  }

  async function inPass1(here: Site, there: Site): Promise<void> {
    await here.set({ 'max-bandwidth': 2 ** 22 });
    await here.migrate(listenUri(there));
    await there.migration('a MiB of pass 1', ({ status, ram }) => {
      return status === 'active' && (ram.transferred ?? 0) > 2 ** 20;
    });
  }

  it('comes out of a file, and goes on over TLS', async ({ skip }) => {
    const on = await stageOf(skip);
    const authority = await newAuthority();
    const keys = writeTlsDirectory(join(on.directory, 'keys'), {
      ...{ authority, server: await serverKey(authority), client: await clientKey(authority) },
    });
    const [here, there] = await pairOf(on, ['--tls-dir', keys]);
    await moves(here, there);
    await end(on, here, there);
  });

  it('goes on at the source when the destination is killed in pass 1', async ({ skip }) => {
    const on = await stageOf(skip);
    const [here, there] = await pairOf(on);
    await inPass1(here, there);
    await on.kill(there);
    expect(await here.over()).toMatchObject({ status: 'failed', 'x-sterna': { owner: 'source' } });
    await here.checkGuest();
    const another = await on.destination('another');
    await moves(here, another);
    await end(on, here, another);
  });

  it('leaves a clean destination when the source is killed in pass 1', async ({ skip }) => {
    const on = await stageOf(skip);
    const [here, there] = await pairOf(on);
    await inPass1(here, there);
    await on.kill(here);
    await there.hasStatus('failed');
    expect(await there.runState()).toEqual({ running: false, status: 'inmigrate' });
    const [another, unused] = await pairOf(on);
    await moves(another, there);
    // After the switch its death changes nothing.
    await on.kill(another);
    await there.checkGuest();
    await end(on, there, unused);
  });

  it.for(['SWITCHOVER_ACK', 'GRANT'])(
    'has one owner when the destination is killed with %s on its way',
    async (message, { skip }) => {
      const on = await stageOf(skip);
      const [here, there] = await pairOf(on);
      await here.set({ 'x-stall-timeout': 1000 });
      const link = await on.link(listenUri(there), ({ name }) =>
        name === message ? 'hold' : 'pass',
      );
      await here.migrate(link.uri);
      await until(message, () => link.isHeld || undefined);
      await on.kill(there);
      link.cut();
      const owner = message === 'GRANT' ? 'unknown' : 'source';
      expect(await here.over()).toMatchObject({ status: 'failed', 'x-sterna': { owner } });
      expect(await here.isRunning()).toBe(owner === 'source');
      if (owner === 'unknown') await here.qmp.execute('cont', { 'x-take-ownership': true });
      await here.checkGuest();
      await end(on, here);
    },
  );

  it('goes on from the journal when the destination is killed in post-copy', async ({ skip }) => {
    const on = await stageOf(skip);
    const [here, there] = await pairOf(on);
    await here.enable('x-postcopy-journal');
    await here.set({
      ...SLOW_POSTCOPY,
      ...{ 'x-postcopy-journal-interval': 50, 'x-auto-recover': 'off' },
    });
    await here.migrate(listenUri(there));
    const pointsAre = (points: number) =>
      oursHas(
        here,
        `${points} points`,
        ({ journal }) => (journal?.points ?? 0) >= points || undefined,
      );
    await pointsAre(1);
    const stepsBefore = await here.steps();
    await there.checkGuest();
    await pointsAre(4);
    await on.kill(there);
    await here.hasStatus('postcopy-paused');
    const steps = await here.steps();
    expect(steps).toBeGreaterThan(stepsBefore);
    const taken = await runSterna(['resume', '--take-ownership', '--qmp', here.agent.qmpAddress]);
    expect(taken.stderr).toMatch(/from the last point of the journal/);
    expect(await here.steps()).toBeGreaterThanOrEqual(steps);
    expect((await here.over())['x-sterna'].error?.code).toBe('E_TAKEN_BACK');
    await here.checkGuest();
    await end(on, here);
  });

  it('gets its pages out of the spill when the source is killed in post-copy', async ({ skip }) => {
    const on = await stageOf(skip);
    const [here, there] = await pairOf(on);
    const spills = join(on.directory, 'spills');
    await mkdir(spills);
    await here.set({ ...SLOW_POSTCOPY, 'x-postcopy-spill': spills });
    await here.migrate(listenUri(there));
    const path = await oursHas(here, 'a durable spill', ({ spill }) =>
      spill?.status === 'durable' ? spill.path : undefined,
    );
    await on.kill(here);
    await there.hasStatus('postcopy-paused');
    const again = await on.sourceOfSpill(here.name, path);
    await again.set({ 'max-postcopy-bandwidth': 0 });
    expect((await again.proven())['x-sterna'].verify.status).toBe('identical');
    await there.hasStatus('completed');
    await there.checkGuest();
    await end(on, again, there);
  });
});
