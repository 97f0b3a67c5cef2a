import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deferred, Random, silentLogger } from '../../../src/base/index.ts';
import {
  type Channel,
  connectTcp,
  parseTcpAddress,
  type Security,
  TcpListener,
} from '../../../src/channel/index.ts';
import { MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { clock } from '../../support/channel-harness.ts';
import { RecordingSink } from '../../support/recording-sink.ts';
import {
  clientKey,
  newAuthority,
  pskSecurity,
  serverKey,
  x509Security,
} from '../../support/test-keys.ts';

/**
 * Whatever a stranger sends to a port with keys, it becomes no connection, what comes back is no
 * more than a handshake says, and who has the keys gets in afterwards.
 */

const SEED = Number(process.env.FUZZ_SEED ?? 1);

interface Port {
  readonly listener: TcpListener;
  readonly honest: Security;
  next: ReturnType<typeof deferred<Channel>>;
  connections: number;
}

const ports: Port[] = [];
const hellos: Buffer[] = [];
/** A server's answer to a hello: its own hello, certificate and request, and tickets. */
const ANSWER_BYTES_MAX = 4096;

async function open(accept: Security, honest: Security): Promise<void> {
  const port: Port = {
    listener: await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
      clock,
      log: silentLogger(),
      connectionCountMax: 2,
      security: accept,
      onConnection: (channel) => {
        port.connections += 1;
        port.next.resolve(channel);
      },
    }),
    honest,
    next: deferred<Channel>(),
    connections: 0,
  };
  ports.push(port);
  hellos.push(await firstMessageOf(honest));
}

beforeAll(async () => {
  const authority = await newAuthority();
  const client = x509Security(authority, await clientKey(authority));
  await open(x509Security(authority, await serverKey(authority)), client);
  await open(pskSecurity('alice', 1), pskSecurity('alice', 1));
});

afterAll(() => {
  for (const { listener } of ports) listener.close();
});

/** What a peer with keys sends first. */
async function firstMessageOf(security: Security): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepting = once(server, 'connection');
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
  const connecting = connectTcp(address, { clock, timeoutMs: 5000, security }).catch(() => {});
  const [socket] = (await accepting) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  await connecting;
  server.close();
  return hello;
}

/** Sends pieces, ends, and resolves with how many bytes came back until the port was done. */
async function attack({ listener }: Port, pieces: readonly Uint8Array[]): Promise<number> {
  const socket = connect(listener.address.port, '127.0.0.1');
  let answerBytes = 0;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    answerBytes += chunk.length;
  });
  const over = new Promise((resolve) => socket.once('close', resolve));
  for (const piece of pieces) socket.write(piece);
  socket.end();
  await over;
  return answerBytes;
}

/** Who has the keys gets in, and what he sends arrives. */
async function expectOpen(port: Port): Promise<void> {
  port.next = deferred<Channel>();
  const options = { clock, timeoutMs: 5000, security: port.honest };
  const channel = await connectTcp(port.listener.address, options);
  const accepted = await port.next.promise;
  const sink = new RecordingSink();
  accepted.start(sink);
  await channel.send(MESSAGE_TYPES.PING, new Uint8Array(3));
  await sink.untilFrames(1);
  await Promise.all([channel.end(), sink.untilClosed()]);
  await accepted.end();
}

async function expectRefused(attacks: readonly (readonly Uint8Array[])[]): Promise<void> {
  for (const port of ports) {
    const before = port.connections;
    for (const pieces of attacks) {
      expect(await attack(port, pieces)).toBeLessThan(ANSWER_BYTES_MAX);
    }
    expect(port.connections).toBe(before);
    await expectOpen(port);
  }
}

test('a port with keys refuses noise of every length', async () => {
  const random = new Random(SEED);
  const noise = (bytes: number) => Uint8Array.from({ length: bytes }, () => random.below(256));
  const records = (bytes: number) =>
    Buffer.concat([Uint8Array.of(22, 3, 1, bytes >> 8, bytes & 255), noise(bytes)]);
  await expectRefused([
    [],
    ...[1, 5, 6, 100, 20_000, 300_000].map((bytes) => [noise(bytes)]),
    // Well-formed records of nonsense, and alerts.
    ...[1, 4, 512, 16_384].map((bytes) => [records(bytes), records(bytes)]),
    [Uint8Array.of(21, 3, 1, 0, 2, 2, 40)],
  ]);
});

test('a port with keys refuses a handshake that breaks off anywhere', async () => {
  for (const hello of hellos) {
    const lengths = Array.from({ length: 24 }, (_, i) => Math.floor((i * hello.length) / 24));
    await expectRefused(lengths.map((length) => [hello.subarray(0, length)]));
  }
});

test('a port with keys refuses a handshake with damaged bytes, and what comes behind it', async () => {
  const random = new Random(SEED + 1);
  const attacks = hellos.flatMap((hello) =>
    Array.from({ length: 40 }, () => {
      const damaged = Uint8Array.from(hello);
      for (let hits = 1 + random.below(4); hits > 0; hits -= 1) {
        damaged[random.below(damaged.length)] = random.below(256);
      }
      return [damaged, new Uint8Array(random.below(2000)).fill(23)];
    }),
  );
  await expectRefused([...attacks, ...hellos.map((hello) => [hello, hello, hello])]);
});

test('a port with keys outlives a flood of half handshakes', async () => {
  const [hello] = hellos;
  if (hello === undefined) return expect.unreachable();
  for (const port of ports) {
    const flood = Array.from({ length: 200 }, () => attack(port, [hello.subarray(0, 90)]));
    await expectOpen(port);
    await Promise.all(flood);
    await expectOpen(port);
  }
});
