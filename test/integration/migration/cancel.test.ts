import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import {
  CANCELLED,
  cancelInPass1,
  cancelInTime,
  cancelTooLate,
  IN_TIME,
  TOO_LATE,
} from './cancels.ts';
import { type Crossing, CrossingKeeper } from './crossing.ts';
import { CONVERGES, expectEqualMemory, NEVER_CONVERGES, savedMemory } from './guest-memory-file.ts';
import { listenUri, Stage } from './stage.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * A migration can be cancelled until GRANT, at any moment, and then it never was: the next one is
 * like the first.
 */

withEveryGuest('migrate_cancel', (guest) => {
  const keeper = new CrossingKeeper(guest);

  afterEach(({ task }) => keeper.afterEach(task.result?.state));
  afterAll(() => keeper.end());

  it('in pass 1 leaves the guest at the source', async () => {
    await cancelInPass1(await keeper.get());
  });

  it('at the moment of migrate, before anything else, leaves the guest at the source', async () => {
    const crossing = await keeper.get();
    const { here } = crossing;
    const uri = await crossing.uri();
    // Both commands are on the wire before either is answered.
    await Promise.all([here.migrate(uri), here.qmp.execute('migrate_cancel')]);
    await crossing.fails(CANCELLED);
    await crossing.succeeds();
  });

  it.each(IN_TIME)('when %s is on its way leaves the guest at the source', async (message) => {
    await cancelInTime(await keeper.get(), message);
  });

  it.each(TOO_LATE)(
    'when %s is on its way comes too late, says so, and changes nothing',
    async (message) => cancelTooLate(await keeper.get(), message),
  );

  it('at any moment of the switch leaves the guest with exactly one of the two', async () => {
    const crossing = await keeper.get();
    const ended: string[] = [];
    for (let attempt = 0; attempt < 8; attempt += 1)
      ended.push(await cancelInTheSwitch(crossing, attempt));
    expect(ended).toHaveLength(8);
    await crossing.succeeds();
  });

  it('at the destination ends an arrival, and the source is told by whom', async () => {
    const crossing = await keeper.get();
    const { here, there } = crossing;
    await here.set({ 'max-bandwidth': 2 ** 21 });
    await here.migrate(await crossing.uri());
    await there.hasStatus('active');
    await there.qmp.execute('migrate_cancel');
    await crossing.fails({ ...CANCELLED, destination: ['E_CANCELLED'] });
    expect((await here.query())['error-desc']).toContain('cancelled at the destination');
    await here.set({ 'max-bandwidth': 0 });
    await crossing.succeeds();
  });

  it('when nothing runs is accepted, as in QEMU', async () => {
    const { here, there } = await keeper.get();
    await here.qmp.execute('migrate_cancel');
    await there.qmp.execute('migrate_cancel');
    expect(await here.isRunning()).toBe(true);
  });
});

/**
 * Cancels a number of steps after the guest was stopped; both outcomes are right, but not both at
 * once.
 */
async function cancelInTheSwitch(crossing: Crossing, attempt: number): Promise<string> {
  const { here, there } = crossing;
  const seen = here.events.length;
  await here.migrate(await crossing.uri());
  await until('the switch', () => {
    return here.events.slice(seen).some(({ event }) => event === 'STOP') || undefined;
  });
  for (let step = 0; step < attempt; step += 1) await here.query();
  await here.qmp.execute('migrate_cancel').catch((refused: Error) => {
    expect(refused.message).toContain('handed over');
  });
  const { status } = await here.over();
  await until('an owner', async () => {
    const running = await Promise.all([here.isRunning(), there.isRunning()]);
    expect(running).not.toEqual([true, true]);
    return running.includes(true) || undefined;
  });
  expect(await here.isRunning()).toBe(status === 'cancelled');
  expect(await there.isRunning()).toBe(status === 'completed');
  if (status === 'completed') crossing.turn();
  else await there.migration('a clean destination', (reply) => reply.status === 'cancelled');
  await crossing.here.advances();
  await crossing.here.checkGuest();
  return String(status);
}

describe('a second attempt', () => {
  const stage = new Stage();
  afterAll(() => stage.end());

  it('after one that was cancelled sends every page again, also those that have not changed', async () => {
    const workload = 'memwrite,fill=10M,hot=2M,rate=20000,words=8,step=512';
    const [source, destination] = await Promise.all([
      stage.source('source', { workload }),
      stage.destination('destination', ['--paused']),
    ]);
    const uri = listenUri(destination);
    await source.enable('xbzrle');
    await source.set(NEVER_CONVERGES);
    await source.migrate(uri);
    // Everything has been sent once, and some of it twice: what is dirty now is a small part.
    await source.migration('two passes', ({ ram }) => (ram?.['dirty-sync-count'] ?? 0) > 2);
    await source.qmp.execute('migrate_cancel');
    await source.hasStatus('cancelled');
    await source.advances(1000);
    await source.set({ ...CONVERGES, 'x-verify': 'off' });
    await source.migrate(uri);
    const reply = await source.proven();
    expect(reply['x-sterna'].passes[0]).toMatchObject({ pass: 1, 'sent-pages': 4096 });

    const [sent, arrived] = await Promise.all([
      savedMemory(source, stage.stateDirectory('sent.bin'), 2 ** 24),
      savedMemory(destination, stage.stateDirectory('arrived.bin'), 2 ** 24),
    ]);
    expectEqualMemory(arrived, sent);
    await destination.checkGuest();
  });
});
