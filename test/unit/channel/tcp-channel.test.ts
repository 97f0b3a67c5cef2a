import { once } from 'node:events';
import { connect, createServer, Socket } from 'node:net';
import { setImmediate as loopTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type Clock, silentLogger } from '../../../src/base/index.ts';
import { adoptAccepted, preferredReadMode } from '../../../src/channel/adopt.ts';
import {
  type Channel,
  connectTcp,
  parseTcpAddress,
  type TcpAddress,
  TcpListener,
} from '../../../src/channel/index.ts';
import { MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { clock } from '../../support/channel-harness.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const ANY_PORT = parseTcpAddress('tcp:127.0.0.1:0');

async function listen(onConnection: (channel: Channel) => void, connectionCountMax = 8) {
  const log = silentLogger();
  const listener = await TcpListener.listen(ANY_PORT, {
    clock,
    log,
    connectionCountMax,
    onConnection,
  });
  onTestFinished(() => listener.close());
  return listener;
}

/** A port that was free a moment ago. */
async function unusedAddress(): Promise<TcpAddress> {
  const listener = await listen(() => {});
  const { address } = listener;
  listener.close();
  return address;
}

test('connectTcp() rejects with E_CHANNEL_REFUSED when nobody listens', async () => {
  const address = await unusedAddress();
  await expect(connectTcp(address, { clock, timeoutMs: 5000 })).rejects.toMatchObject({
    code: 'E_CHANNEL_REFUSED',
    message: `Cannot connect to tcp:127.0.0.1:${address.port}`,
    detail: { systemCode: 'ECONNREFUSED' },
  });
});

test('connectTcp() rejects with E_CHANNEL_REFUSED when the name does not resolve', async () => {
  const address = parseTcpAddress('tcp:no-such-host.invalid:1');
  await expect(connectTcp(address, { clock, timeoutMs: 10_000 })).rejects.toMatchObject({
    code: 'E_CHANNEL_REFUSED',
  });
});

test('connectTcp() rejects with E_CHANNEL_TIMEOUT when time is up', async () => {
  const { address } = await listen((channel) => channel.destroy());
  const impatient: Clock = { ...clock, sleep: async () => {} };
  await expect(connectTcp(address, { clock: impatient, timeoutMs: 7 })).rejects.toMatchObject({
    code: 'E_CHANNEL_TIMEOUT',
    detail: { timeoutMs: 7 },
  });
});

test('connectTcp() rejects with E_CANCELLED when its signal aborts, before or during', async () => {
  const { address } = await listen((channel) => channel.destroy());
  const controller = new AbortController();
  const connecting = connectTcp(address, { clock, timeoutMs: 5000, signal: controller.signal });
  controller.abort();
  await expect(connecting).rejects.toMatchObject({ code: 'E_CANCELLED' });
  const again = connectTcp(address, { clock, timeoutMs: 5000, signal: controller.signal });
  await expect(again).rejects.toMatchObject({ code: 'E_CANCELLED' });
});

test('connectTcp() is not touched by its signal once it is connected', async () => {
  const { address } = await listen(() => {});
  const controller = new AbortController();
  const channel = await connectTcp(address, { clock, timeoutMs: 5000, signal: controller.signal });
  controller.abort();
  await channel.send(MESSAGE_TYPES.PING, new Uint8Array(1));
  channel.destroy();
});

test('TcpListener.address has the real port; its channels are named after the peer', async () => {
  const accepted: Channel[] = [];
  const listener = await listen((channel) => accepted.push(channel));
  expect(listener.address.port).toBeGreaterThan(0);
  const channel = await connectTcp(listener.address, { clock, timeoutMs: 5000 });
  while (accepted.length === 0) await loopTurn();
  expect(channel.name).toBe(`tcp:127.0.0.1:${listener.address.port}`);
  expect(accepted[0]?.name).toMatch(/^tcp:127\.0\.0\.1:\d+$/);
  channel.destroy();
});

test('TcpListener.listen() rejects with E_CONFIG_INVALID when the port is taken', async () => {
  const { address } = await listen(() => {});
  const options = { clock, log: silentLogger(), connectionCountMax: 1, onConnection: () => {} };
  await expect(TcpListener.listen(address, options)).rejects.toMatchObject({
    code: 'E_CONFIG_INVALID',
    detail: { systemCode: 'EADDRINUSE' },
  });
});

test('TcpListener closes connections above its bound until one has gone', async () => {
  const accepted: Channel[] = [];
  const sinks: RecordingSink[] = [];
  const { address } = await listen((channel) => {
    const sink = new RecordingSink();
    channel.start(sink);
    accepted.push(channel);
    sinks.push(sink);
  }, 2);
  const clients = [await connectRaw(address), await connectRaw(address)];
  const third = await connectRaw(address);
  await once(third, 'close');
  expect(accepted).toHaveLength(2);
  clients[0]?.destroy();
  await sinks[0]?.untilClosed();
  await accepted[0]?.end();
  await connectRaw(address);
  while (accepted.length < 3) await loopTurn();
});

test('destroy() frees the connection when the peer has just ended it', async () => {
  const accepted: Channel[] = [];
  const { address } = await listen((channel) => {
    const sink = new RecordingSink();
    channel.start(sink);
    accepted.push(channel);
    // The channel is sending its own end at this moment.
    void sink.untilClosed().then(() => channel.destroy());
  }, 1);
  const first = await connectRaw(address);
  const over = once(first, 'close');
  first.resume();
  first.end();
  await over;
  while (accepted.length < 2) {
    const next = await connectRaw(address);
    await loopTurn();
    next.destroy();
  }
});

test('TcpListener.close() frees the port and keeps the connections', async () => {
  const accepted: Channel[] = [];
  const listener = await listen((channel) => accepted.push(channel));
  const channel = await connectTcp(listener.address, { clock, timeoutMs: 5000 });
  while (accepted.length === 0) await loopTurn();
  listener.close();
  const { address } = listener;
  await expect(connectTcp(address, { clock, timeoutMs: 5000 })).rejects.toMatchObject({
    code: 'E_CHANNEL_REFUSED',
  });
  const sink = new RecordingSink();
  accepted[0]?.start(sink);
  await channel.send(MESSAGE_TYPES.PING, new Uint8Array(1));
  await sink.untilFrames(1);
  channel.destroy();
});

test('preferredReadMode() is data-events when a part of the handle is missing', async () => {
  const accepted = await acceptRaw();
  expect(preferredReadMode(accepted)).toBe('in-place');
  expect(preferredReadMode(new Socket())).toBe('data-events');
  const strange = Object.assign(new Socket(), { _handle: { readStart() {}, readStop() {} } });
  expect(preferredReadMode(strange)).toBe('data-events');
});

test('adoptAccepted() makes a second socket when it reads in place', async () => {
  const target = { buffer: () => new Uint8Array(8), callback: () => true };
  const first = await acceptRaw();
  const adopted = adoptAccepted(first, target, 'in-place');
  expect([adopted === first, adopted.listenerCount('data')]).toEqual([false, 0]);
  const second = await acceptRaw();
  const kept = adoptAccepted(second, target, 'data-events');
  expect([kept === second, kept.listenerCount('data')]).toEqual([true, 1]);
  adopted.destroy();
});

async function connectRaw({ host, port }: TcpAddress): Promise<Socket> {
  const socket = connect(port, host);
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function acceptRaw(): Promise<Socket> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepting = once(server, 'connection');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  await connectRaw({ kind: 'tcp', host: '127.0.0.1', port });
  const [socket] = (await accepting) as [Socket];
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  return socket;
}
