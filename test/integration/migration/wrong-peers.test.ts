import { afterAll, afterEach, expect, it } from 'vitest';
import {
  decodeHello,
  decodeHelloAck,
  encodeFrame,
  encodeHello,
  encodeHelloAck,
  FRAME_HEADER_BYTES,
  type HelloBody,
  MESSAGE_TYPES,
} from '../../../src/protocol/index.ts';
import { until } from '../../support/until.ts';
import { CrossingKeeper, LOST } from './crossing.ts';
import type { Judge } from './frame-link.ts';
import { portOfNobody, strangePort } from './strange-peers.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * What answers is no destination, or one that will not have this guest. The guest goes on where it
 * is.
 */

const HTTP_REPLY =
  'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request';

/** A source whose HELLO says something else. */
function helloWith(change: (hello: HelloBody) => Partial<HelloBody>): Judge {
  return ({ name, bytes, header }) => {
    if (name !== 'HELLO') return 'pass';
    const hello = decodeHello(bytes.subarray(FRAME_HEADER_BYTES));
    if (hello.kind === 'malformed') throw hello.error;
    const changed = encodeHello({ ...hello.body, ...change(hello.body) });
    return encodeFrame(MESSAGE_TYPES.HELLO, header.sequence, changed);
  };
}

withEveryGuest('migrate() to a peer that is not the right one', (guest) => {
  const keeper = new CrossingKeeper(guest);

  afterEach(({ task }) => keeper.afterEach(task.result?.state));
  afterAll(() => keeper.end());

  it('fails with E_CHANNEL_REFUSED when nobody listens', async () => {
    const crossing = await keeper.get();
    const reply = await crossing.fails({ source: ['E_CHANNEL_REFUSED'] }, await portOfNobody());
    expect(reply['error-desc']).toContain('ECONNREFUSED');
    expect(reply['x-sterna'].error).toMatchObject({ phase: 'setup', side: 'source' });
    await crossing.succeeds();
  });

  it('fails with E_PROTOCOL_BAD_MAGIC when a web server answers', async () => {
    const crossing = await keeper.get();
    const uri = await strangePort(crossing.stage, (socket) => {
      socket.once('data', () => socket.end(HTTP_REPLY));
    });
    await crossing.fails({ source: ['E_PROTOCOL_BAD_MAGIC'] }, uri);
    await crossing.succeeds();
  });

  it('fails with E_PROTOCOL_BAD_MAGIC when a QMP server answers', async () => {
    const crossing = await keeper.get();
    const uri = await strangePort(crossing.stage, (socket) => {
      socket.write('{"QMP": {"version": {"qemu": {"major": 10, "minor": 2}}}}\r\n');
    });
    await crossing.fails({ source: ['E_PROTOCOL_BAD_MAGIC'] }, uri);
    await crossing.succeeds();
  });

  it.each([
    ['at once', 0],
    ['after a word', 3],
  ])('fails when the peer closes the connection %s', async (_when, saidBytes) => {
    const crossing = await keeper.get();
    const uri = await strangePort(crossing.stage, (socket) =>
      socket.end('bye'.slice(0, saidBytes)),
    );
    await crossing.fails({ source: LOST }, uri);
    await crossing.succeeds();
  });

  it('fails with E_CHANNEL_TIMEOUT, in time, when the peer accepts and says nothing', async () => {
    const crossing = await keeper.get();
    const uri = await strangePort(crossing.stage, () => {});
    await crossing.here.set({ 'x-stall-timeout': 300 });
    const reply = await crossing.fails({ source: ['E_CHANNEL_TIMEOUT'] }, uri);
    expect(reply['x-sterna'].error).toMatchObject({ detail: { limitMs: 900 } });
    await crossing.here.set({ 'x-stall-timeout': 10_000 });
    await crossing.succeeds();
  });

  it('can be cancelled while the peer says nothing', async () => {
    const crossing = await keeper.get();
    let connected = false;
    const uri = await strangePort(crossing.stage, () => {
      connected = true;
    });
    await crossing.here.migrate(uri);
    await until('the connection', () => connected || undefined);
    await crossing.here.qmp.execute('migrate_cancel');
    await crossing.fails({ source: ['E_CANCELLED'], status: 'cancelled' });
    await crossing.succeeds();
  });

  it.each([
    [
      'E_HANDSHAKE_RAM_LAYOUT',
      'more RAM blocks than it takes',
      ({ machine }: HelloBody) => ({
        machine: {
          ...machine,
          ramBlocks: Array.from({ length: 16 }, (_, index) => ({
            name: `ram${index}`,
            bytes: 2 ** 20,
          })),
        },
      }),
    ],
    [
      'E_PROTOCOL_BAD_BODY',
      'more RAM than there may be',
      ({ machine }: HelloBody) => ({
        machine: {
          ...machine,
          ramBlocks: Array.from({ length: 9 }, (_, index) => ({
            name: `ram${index}`,
            bytes: 2 ** 31,
          })),
        },
      }),
    ],
    [
      'E_HANDSHAKE_MACHINE',
      'a machine that it does not know',
      ({ machine }: HelloBody) => ({ machine: { ...machine, type: 'riscv' } }),
    ],
    [
      'E_HANDSHAKE_MACHINE',
      'a workload that it does not know',
      ({ machine }: HelloBody) => ({
        machine: { ...machine, config: { workload: 'dance', seed: 1 } },
      }),
    ],
  ] as const)('fails with %s when the destination is offered %s', async (code, _what, change) => {
    const crossing = await keeper.get();
    const link = await crossing.stage.link(await crossing.uri(), helloWith(change));
    await crossing.fails({ source: [code], destination: [code] }, link.uri);
    expect(link.seen).not.toContain('source PASS_BEGIN');
    await crossing.succeeds();
  });

  it('fails with E_HANDSHAKE_CAPABILITY when the destination lacks what was asked for', async () => {
    const crossing = await keeper.get();
    await crossing.here.enable('xbzrle');
    const link = await crossing.stage.link(await crossing.uri(), ({ name, bytes, header }) => {
      if (name !== 'HELLO_ACK') return 'pass';
      const ack = decodeHelloAck(bytes.subarray(FRAME_HEADER_BYTES));
      if (ack.kind === 'malformed') throw ack.error;
      const changed = encodeHelloAck({ ...ack.body, capabilities: [] });
      return encodeFrame(MESSAGE_TYPES.HELLO_ACK, header.sequence, changed);
    });
    const code = 'E_HANDSHAKE_CAPABILITY' as const;
    const reply = await crossing.fails({ source: [code], destination: [code] }, link.uri);
    expect(reply['error-desc']).toContain('xbzrle');
    await crossing.here.enable('xbzrle', false);
    await crossing.succeeds();
  });

  it('fails with E_HANDSHAKE_UUID at a destination that waits for another guest', async () => {
    const crossing = await keeper.get();
    const { stage, here } = crossing;
    const other = '0f0e0d0c-0000-4000-8000-0000000000aa';
    const picky = await stage.destination(`picky-${stage.siteCount}`, ['--uuid', other]);
    await here.enable('validate-uuid');
    const uri = String(picky.agent.ready.listen);
    const reply = await crossing.fails({ source: ['E_HANDSHAKE_UUID'] }, uri);
    expect(reply['x-sterna'].error).toMatchObject({ detail: { expectedUuid: other } });
    expect(await picky.runState()).toEqual({ running: false, status: 'inmigrate' });
    await here.enable('validate-uuid', false);
    await crossing.succeeds();
  });
});
