import { afterAll, afterEach, expect, it } from 'vitest';
import { CrossingKeeper, LOST } from './crossing.ts';
import { STREAM_FAULTS } from './stream-faults.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * The link breaks or damages what crosses it, at every stage before GRANT. The guest goes on where
 * it was.
 */

withEveryGuest('a migration over a link that fails', (guest) => {
  const keeper = new CrossingKeeper(guest);

  afterEach(({ task }) => keeper.afterEach(task.result?.state));
  afterAll(() => keeper.end());

  it.each(STREAM_FAULTS)('migrate() leaves the guest at the source when $name', async (fault) => {
    const crossing = await keeper.get();
    const link = await crossing.stage.link(await crossing.uri(), fault.newJudge());
    await crossing.fails(fault, link.uri);
    await crossing.succeeds();
  });

  it.each([
    ['within HELLO, by a reset', 20, 'reset', LOST],
    ['within HELLO, politely', 50, 'end', ['E_PROTOCOL_TRUNCATED']],
    ['within a frame of pass 1, by a reset', 1_234_567, 'reset', LOST],
    ['within a frame of pass 1, politely', 1_234_567, 'end', ['E_PROTOCOL_TRUNCATED']],
  ] as const)(
    'migrate() leaves the guest at the source when the stream is cut %s',
    async (_where, cutAfterBytes, cutWith, destination) => {
      const crossing = await keeper.get();
      const { uri } = await crossing.stage.proxy(await crossing.uri(), {
        toTarget: { cutAfterBytes, cutWith },
      });
      await crossing.fails({ source: LOST, destination }, uri);
      await crossing.succeeds();
    },
  );

  it.each([
    ['to the destination', 'toTarget'],
    ['to the source', 'toClient'],
  ] as const)(
    'migrate() names the version when it is refused on the way %s',
    async (_where, direction) => {
      const crossing = await keeper.get();
      // The fifth byte of a stream is the protocol's version.
      const { uri } = await crossing.stage.proxy(await crossing.uri(), {
        [direction]: { corruptAtByte: 4 },
      });
      const code = 'E_PROTOCOL_VERSION' as const;
      const reply = await crossing.fails({ source: [code], destination: [code] }, uri);
      expect(reply['x-sterna'].error).toMatchObject({ detail: { version: 17, supported: 1 } });
      await crossing.succeeds();
    },
  );

  it('migrate() gives up when the link stalls in pass 1, within x-stall-timeout', async () => {
    const crossing = await keeper.get();
    await crossing.here.set({ 'x-stall-timeout': 600 });
    const { uri } = await crossing.stage.proxy(await crossing.uri(), {
      toTarget: { stallAfterBytes: 2 ** 20 },
    });
    const code = 'E_CHANNEL_TIMEOUT' as const;
    const reply = await crossing.fails({ source: [code], destination: [code, ...LOST] }, uri);
    expect(reply['x-sterna'].error?.message).toContain('fell silent');
    await crossing.here.set({ 'x-stall-timeout': 10_000 });
    await crossing.succeeds();
  });

  it('migrate() gives up when the link stalls in the pause, and the guest goes on', async () => {
    const crossing = await keeper.get();
    await crossing.here.set({ 'x-stall-timeout': 600 });
    const link = await crossing.stage.link(await crossing.uri(), ({ name }) =>
      name === 'MACHINE_STATE' ? 'hold' : 'pass',
    );
    const code = 'E_CHANNEL_TIMEOUT' as const;
    const reply = await crossing.fails({ source: [code], destination: [code, ...LOST] }, link.uri);
    expect(reply['x-sterna'].error?.phase).toBe('device');
    await crossing.here.set({ 'x-stall-timeout': 10_000 });
    await crossing.succeeds();
  });
});
