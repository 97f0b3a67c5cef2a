import { connect, type Socket } from 'node:net';
import { type Clock, deferred, SternaError } from '../base/index.ts';
import { formatAddress, type TcpAddress } from './address.ts';
import { adoptAccepted, type ReadMode } from './adopt.ts';
import type { Channel } from './channel.ts';
import { FrameChannel } from './frame-channel.ts';
import { TcpTransport } from './tcp-transport.ts';

export interface ConnectOptions {
  readonly clock: Clock;
  /** After this long without an answer: E_CHANNEL_TIMEOUT. */
  readonly timeoutMs: number;
  /** Gives up with E_CANCELLED. */
  readonly signal?: AbortSignal;
}

/**
 * Connects. Rejects with E_CHANNEL_REFUSED, E_CHANNEL_TIMEOUT or E_CANCELLED; then nothing is left
 * open.
 */
export async function connectTcp(address: TcpAddress, options: ConnectOptions): Promise<Channel> {
  const { clock, timeoutMs, signal } = options;
  const name = formatAddress(address);
  if (signal?.aborted) throw cancelled(name);
  const connected = deferred<void>();
  const channel = new FrameChannel(name, clock, (events) => {
    // node:net asks for the first buffer at once and for the next one after each read.
    const onread = { buffer: () => events.buffer(), callback: (n: number) => events.callback(n) };
    const socket = connect({ host: address.host, port: address.port, onread });
    socket.pause();
    socket.once('connect', () => connected.resolve());
    const failed = (error: SternaError) => {
      connected.reject(error);
      events.failed(error);
    };
    return new TcpTransport(name, socket, clock, { ...events, failed });
  });

  const settled = new AbortController();
  const give = (error: SternaError) => {
    connected.reject(error);
    channel.destroy(error);
  };
  const onAbort = () => give(cancelled(name));
  signal?.addEventListener('abort', onAbort, { once: true });
  void clock.sleep(timeoutMs, settled.signal).then(() => {
    if (!settled.signal.aborted) give(timedOut(name, timeoutMs));
  });
  try {
    await connected.promise;
    return channel;
  } finally {
    settled.abort();
    signal?.removeEventListener('abort', onAbort);
  }
}

export interface AcceptOptions {
  readonly clock: Clock;
  readonly readMode: ReadMode | undefined;
  /** The connection is over and its resources are free. */
  readonly onClosed: () => void;
}

/** The channel of a connection that a server accepted with `pauseOnConnect`. */
export function acceptTcp(accepted: Socket, options: AcceptOptions): Channel {
  const { remoteAddress: host = 'unknown', remotePort: port = 0 } = accepted;
  const name = formatAddress({ kind: 'tcp', host, port });
  return new FrameChannel(name, options.clock, (events) => {
    const socket = adoptAccepted(accepted, events, options.readMode);
    socket.once('close', options.onClosed);
    return new TcpTransport(name, socket, options.clock, events);
  });
}

function cancelled(name: string): SternaError {
  return new SternaError('E_CANCELLED', `Connecting to ${name} was cancelled`);
}

function timedOut(name: string, timeoutMs: number): SternaError {
  return new SternaError('E_CHANNEL_TIMEOUT', `No answer from ${name}`, { detail: { timeoutMs } });
}
