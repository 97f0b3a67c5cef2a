import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  cancelInPass1,
  cancelInTime,
  cancelTooLate,
  IN_TIME,
  TOO_LATE,
} from '../migration/cancels.ts';
import { type Crossing, CrossingKeeper, LOST } from '../migration/crossing.ts';
import { STREAM_FAULTS } from '../migration/stream-faults.ts';
import { debianGuest } from './debian-guest.ts';
import { imageOrSkip, LINUX_LIMIT_MS } from './linux-stage.ts';

/**
 * A Debian in which sqlite works is cancelled, and its link cut, stalled and damaged, at every
 * stage before GRANT and around it. Each time it goes on where it was, and crosses then.
 */

describe('Debian over a link that fails', { timeout: LINUX_LIMIT_MS }, () => {
  let keeper: CrossingKeeper | undefined;

  afterEach(({ task }) => keeper?.afterEach(task.result?.state));
  afterAll(() => keeper?.end());

  async function debian(skip: (why: string) => void): Promise<Crossing> {
    keeper ??= new CrossingKeeper(debianGuest(await imageOrSkip(skip)));
    return keeper.get();
  }

  it('is cancelled in pass 1', async ({ skip }) => cancelInPass1(await debian(skip)));

  it.for(IN_TIME)('is cancelled when %s is on its way', async (message, { skip }) =>
    cancelInTime(await debian(skip), message),
  );

  it.for(TOO_LATE)('is not cancelled any more when %s is on its way', async (message, { skip }) =>
    cancelTooLate(await debian(skip), message),
  );

  it.for(STREAM_FAULTS)('stays at the source when $name', async (fault, { skip }) => {
    const crossing = await debian(skip);
    const link = await crossing.stage.link(await crossing.uri(), fault.newJudge());
    await crossing.fails(fault, link.uri);
    await crossing.succeeds();
  });

  it.for(['PAGE_BATCH', 'MACHINE_STATE'])(
    'stays at the source when the link stalls at %s',
    async (message, { skip }) => {
      const crossing = await debian(skip);
      await crossing.here.set({ 'x-stall-timeout': 600 });
      const link = await crossing.stage.link(await crossing.uri(), ({ name }) =>
        name === message ? 'hold' : 'pass',
      );
      const code = 'E_CHANNEL_TIMEOUT' as const;
      await crossing.fails({ source: [code], destination: [code, ...LOST] }, link.uri);
      await crossing.here.set({ 'x-stall-timeout': 10_000 });
      await crossing.succeeds();
    },
  );

  it.for(['GRANT', 'RESUMED'] as const)(
    'has one owner when %s is lost with a link that comes back',
    async (message, { skip }) => {
      const crossing = await debian(skip);
      const { here } = crossing;
      const link = await crossing.stage.link(await crossing.uri(), ({ name }) =>
        name === message ? 'cut' : 'pass',
      );
      await here.migrate(link.uri);
      const { status } = await here.over();
      expect(link.seen).toContain('destination RECOVERY');
      expect(status).toBe(message === 'GRANT' ? 'failed' : 'completed');
      if (status === 'completed') crossing.turn();
      await crossing.here.checkGuest();
      expect(await crossing.there.isRunning()).toBe(false);
      await crossing.succeeds();
    },
  );

  it('has one owner when GRANT is lost for good and an operator decides', async ({ skip }) => {
    const crossing = await debian(skip);
    const { here, there } = crossing;
    await here.set({ 'x-stall-timeout': 1000 });
    const link = await crossing.stage.link(await crossing.uri(), ({ name }) => {
      if (name !== 'GRANT') return 'pass';
      link.refuse();
      return 'cut';
    });
    await here.migrate(link.uri);
    expect(await here.over()).toMatchObject({
      'x-sterna': { owner: 'unknown', error: { code: 'E_OWNERSHIP_UNKNOWN' } },
    });
    await there.hasStatus('failed');
    expect([await here.isRunning(), await there.isRunning()]).toEqual([false, false]);
    await here.qmp.execute('cont', { 'x-take-ownership': true });
    await here.checkGuest();
    expect(await there.isRunning()).toBe(false);
    await here.set({ 'x-stall-timeout': 10_000 });
    await crossing.succeeds();
  });
});
