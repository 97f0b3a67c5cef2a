import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as loopTurn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { deferred, silentLogger, systemClock } from '../../src/base/index.ts';
import { FrameChannel } from '../../src/channel/frame-channel.ts';
import {
  type Channel,
  connectTcp,
  createFileChannel,
  type FrameSink,
  type MemoryLinkOptions,
  memoryChannelPair,
  NO_SECURITY,
  openFileChannel,
  parseTcpAddress,
  type ReadMode,
  type Security,
  type TcpAddress,
  TcpListener,
} from '../../src/channel/index.ts';
import { MemoryConnection } from '../../src/channel/memory-channel.ts';
import { connectOptions } from '../../src/channel/security/tls-options.ts';
import { FaultyProxy } from './faulty-proxy.ts';

/** Two connected channels. `b` is the end whose way of reading is under test. */
export interface ChannelPair {
  readonly a: Channel;
  readonly b: Channel;
  close(): Promise<void>;
}

/** How the compliance suite makes channels of one kind. */
export interface ChannelHarness {
  readonly name: string;
  /**
   * Lets `send` write into a channel, ends it, and resolves when the other side's `sink` was
   * closed.
   */
  transfer(send: (channel: Channel) => Promise<unknown>, sink: FrameSink): Promise<void>;
  /**
   * Gives `bytes` to a channel as its whole stream. Resolves when it was read as far as the channel
   * wants.
   */
  read(bytes: Uint8Array, sink: FrameSink): Promise<void>;
}

export interface DuplexHarness extends ChannelHarness {
  openPair(): Promise<ChannelPair>;
}

export const clock = systemClock();

export interface TcpHarnessOptions {
  readonly name: string;
  /** How the accepted end reads. */
  readonly readMode: ReadMode;
  /** The end under test: `accepted` reads by `readMode`, `connected` always in place. */
  readonly receiver: 'accepted' | 'connected';
  /** Keys of the accepting and of the connecting end; made when they are first needed. */
  readonly keys?: () => Promise<TestKeys>;
  /** Puts a proxy between that forwards pieces of this length. */
  readonly pieceBytes?: () => number;
}

export interface TestKeys {
  readonly accept: Security;
  readonly connect: Security;
}

const NO_KEYS: TestKeys = { accept: NO_SECURITY, connect: NO_SECURITY };

export function tcpHarness(options: TcpHarnessOptions): DuplexHarness {
  const openPair = () => openTcpPair(options);
  const read = async (bytes: Uint8Array, sink: FrameSink) => {
    const keys = (await options.keys?.()) ?? NO_KEYS;
    const { address, accepted, close } = await listenOnce(options.readMode, keys.accept);
    const { host, port } = address;
    const raw =
      keys.connect.kind === 'none'
        ? connect(port, host)
        : connectTls({ host, port, ...connectOptions(keys.connect, host) });
    const channel = await accepted;
    const over = closedPromise(sink);
    channel.start(over.sink);
    raw.on('error', () => {});
    raw.end(bytes);
    await over.promise;
    channel.destroy();
    close();
  };
  return { name: options.name, openPair, read, transfer: transferThrough(openPair) };
}

export function memoryHarness(name: string, options: MemoryLinkOptions = {}): DuplexHarness {
  const openPair = async (): Promise<ChannelPair> => {
    const pair = memoryChannelPair({ clock, ...options });
    return { ...pair, close: async () => pair.cut() };
  };
  const read = async (bytes: Uint8Array, sink: FrameSink) => {
    const connection = new MemoryConnection({ clock, ...options });
    const area = new Uint8Array(1);
    const raw = connection.openEnd('a', {
      buffer: () => area,
      callback: () => true,
      ended: () => {},
      failed: () => {},
      ready: () => undefined,
    });
    const channel = new FrameChannel('memory', clock, (events) => connection.openEnd('b', events));
    const over = closedPromise(sink);
    channel.start(over.sink);
    raw.write(bytes, () => {});
    void raw.end();
    await over.promise;
    channel.destroy();
  };
  return { name, openPair, read, transfer: transferThrough(openPair) };
}

export function fileHarness(): ChannelHarness {
  return {
    name: 'file',
    transfer: (send, sink) =>
      inTemporaryDirectory(async (directory) => {
        const path = join(directory, 'stream');
        const writer = await createFileChannel(path, clock);
        await send(writer);
        await writer.end();
        await readFile(path, sink);
      }),
    read: (bytes, sink) =>
      inTemporaryDirectory(async (directory) => {
        const path = join(directory, 'stream');
        await writeFile(path, bytes);
        await readFile(path, sink);
      }),
  };
}

export async function inTemporaryDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'sterna-channel-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function readFile(path: string, sink: FrameSink): Promise<void> {
  const reader = await openFileChannel(path, clock);
  const over = closedPromise(sink);
  reader.start(over.sink);
  await over.promise;
  await reader.end();
}

function transferThrough(openPair: () => Promise<ChannelPair>): ChannelHarness['transfer'] {
  return async (send, sink) => {
    const { a, b, close } = await openPair();
    const over = closedPromise(sink);
    b.start(over.sink);
    await send(a);
    await a.end();
    await over.promise;
    await close();
  };
}

async function openTcpPair(options: TcpHarnessOptions): Promise<ChannelPair> {
  const keys = (await options.keys?.()) ?? NO_KEYS;
  const listening = await listenOnce(options.readMode, keys.accept);
  const { pieceBytes } = options;
  const faults = pieceBytes === undefined ? {} : { pieceBytes };
  const proxy = pieceBytes
    ? await FaultyProxy.start({ target: listening.address, toTarget: faults, toClient: faults })
    : undefined;
  const address = proxy?.address ?? listening.address;
  const connected = await connectTcp(address, {
    clock,
    timeoutMs: 5000,
    security: keys.connect,
  });
  const accepted = await listening.accepted;
  // With TLS the accepting end still writes the last message of the handshake, and the other one
  // reads it. A reset that meets one of them looks like an end, as with any bytes that are unread.
  await loopTurn();
  await loopTurn();
  const [a, b] = options.receiver === 'accepted' ? [connected, accepted] : [accepted, connected];
  const close = async () => {
    a.destroy();
    b.destroy();
    listening.close();
    await proxy?.close();
  };
  return { a, b, close };
}

interface Listening {
  readonly address: TcpAddress;
  readonly accepted: Promise<Channel>;
  close(): void;
}

async function listenOnce(readMode: ReadMode, security: Security): Promise<Listening> {
  const accepted = deferred<Channel>();
  const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
    clock,
    log: silentLogger(),
    connectionCountMax: 4,
    onConnection: (channel) => accepted.resolve(channel),
    readMode,
    security,
  });
  return {
    address: listener.address,
    accepted: accepted.promise,
    close: () => listener.close(),
  };
}

/** `sink`, and a promise of its being closed. */
function closedPromise(sink: FrameSink): { sink: FrameSink; promise: Promise<void> } {
  const closed = deferred<void>();
  return {
    promise: closed.promise,
    sink: {
      place: (header) => sink.place(header),
      frame: (header, body) => sink.frame(header, body),
      closed: (error) => {
        sink.closed(error);
        closed.resolve();
      },
    },
  };
}
