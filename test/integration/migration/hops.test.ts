import { afterEach, beforeEach, expect, it } from 'vitest';
import { expectEqualMemory, savedMemory, throughPasses } from './guest-memory-file.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { withEveryGuest } from './test-guest.ts';

/** A guest that arrived can leave again, and what it wrote on the way is not lost. */

const RAM_BYTES = 16 * 2 ** 20;
const WORKLOAD = 'memwrite,fill=8M,hot=2M,rate=20000,words=8,step=512,pattern=random';

withEveryGuest('onward migration', (guest) => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(guest);
  });

  afterEach(() => stage.end());

  /**
   * Moves the guest, compares the RAM of both sides by pmemsave, and lets it write at the new
   * place.
   */
  async function hop(from: Site, to: Site, epoch: number): Promise<void> {
    await throughPasses(from, listenUri(to), 2);
    const reply = await from.proven();
    expect(reply['x-sterna']).toMatchObject({
      epoch,
      verify: { status: 'identical', pages: 4096 },
    });
    const saved = (site: Site) =>
      savedMemory(site, stage.stateDirectory(`${site.name}-${epoch}.bin`), RAM_BYTES);
    const [sent, arrived] = await Promise.all([saved(from), saved(to)]);
    expectEqualMemory(arrived, sent);
    expect(await from.isRunning()).toBe(false);
    await to.qmp.execute('cont');
    await to.advances(2000);
    await to.checkGuest();
  }

  it('moves over three hops, and back to a fresh agent in the state directory of the first', async () => {
    const paused = ['--paused'];
    const [first, second, third] = await Promise.all([
      stage.source('first', { workload: WORKLOAD }),
      stage.destination('second', paused),
      stage.destination('third', paused),
    ]);
    const { UUID: uuid } = (await first.qmp.execute('query-uuid')) as { UUID: string };
    await first.advances(1000);
    await hop(first, second, 2);
    // XBZRLE after a hop must not know of the pages that the last source had in its cache.
    await second.enable('xbzrle');
    await hop(second, third, 3);
    await stage.stop(first);
    const again = await stage.destination('fourth', [
      ...paused,
      ...['--state-dir', stage.stateDirectory('first')],
    ]);
    await hop(third, again, 4);
    expect(await again.qmp.execute('query-uuid')).toEqual({ UUID: uuid });
    // Those that gave it away stay with that.
    for (const site of [second, third]) {
      expect(await site.runState()).toEqual({ running: false, status: 'postmigrate' });
      await expect(site.qmp.execute('cont')).rejects.toMatchObject({
        sternaError: { code: 'E_STATE', guestOwner: 'destination' },
      });
    }
  });

  it('moves on by post-copy, by pre-copy, and by post-copy again', async () => {
    const [first, second, third, fourth] = await Promise.all([
      stage.source('first', { workload: WORKLOAD, vcpus: 2 }),
      ...['second', 'third', 'fourth'].map((name) => stage.destination(name)),
    ]);
    if (second === undefined || third === undefined || fourth === undefined) return;
    await first.advances(1000);
    for (const [from, to, mode] of [
      [first, second, 'postcopy'],
      [second, third, 'precopy'],
      [third, fourth, 'postcopy'],
    ] as const) {
      await from.set({ 'x-mode': mode, 'max-bandwidth': 0 });
      await from.migrate(listenUri(to));
      const reply = await from.proven();
      expect(reply['x-sterna']).toMatchObject({ mode, verify: { status: 'identical' } });
      await to.hasStatus('completed');
      await to.advances(1000);
      await to.checkGuest();
      expect(await from.runState()).toEqual({ running: false, status: 'postmigrate' });
    }
  });

  it('refuses a source whose guest has moved on since', async () => {
    const uuid = '0f0e0d0c-0000-4000-8000-0000000000cc';
    const [first, second, third] = await Promise.all([
      stage.source('first', { workload: WORKLOAD, more: ['--uuid', uuid] }),
      stage.destination('second'),
      stage.destination('third'),
    ]);
    for (const [from, to] of [
      [first, second],
      [second, third],
    ] as const) {
      await from.migrate(listenUri(to));
      await from.proven();
    }
    // A new guest under an old name, in a place that does not know of the past: its epoch is 1
    // again.
    const copy = await stage.source('copy', { workload: WORKLOAD, more: ['--uuid', uuid] });
    await copy.migrate(listenUri(second));
    const refused = await copy.over();
    expect(refused['x-sterna'].error).toMatchObject({
      code: 'E_HANDSHAKE_EPOCH',
      side: 'destination',
      guestOwner: 'source',
    });
    expect(await copy.isRunning()).toBe(true);
    expect(await third.isRunning()).toBe(true);
    await third.checkGuest();
  });
});
