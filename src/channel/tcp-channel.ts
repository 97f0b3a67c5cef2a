import { connect, type OnReadOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type Clock, deferred, SternaError } from '../base/index.ts';
import { formatAddress, type TcpAddress } from './address.ts';
import { adoptAccepted, type ReadMode } from './adopt.ts';
import type { Channel } from './channel.ts';
import { channelError } from './channel-error.ts';
import { FrameChannel } from './frame-channel.ts';
import { HeldReads } from './security/held-reads.ts';
import { checkPeer } from './security/peer-check.ts';
import { NO_SECURITY, type Security } from './security/security.ts';
import { isTlsFailure, tlsError } from './security/tls-error.ts';
import { connectOptions, type Protection } from './security/tls-options.ts';
import { TcpTransport } from './tcp-transport.ts';
import type { Transport, TransportEvents } from './transport.ts';

export interface ConnectOptions {
  readonly clock: Clock;
  /** After this long without an answer: E_CHANNEL_TIMEOUT. The handshake counts. */
  readonly timeoutMs: number;
  /** Gives up with E_CANCELLED. */
  readonly signal?: AbortSignal;
  /** What `loadSecurity(settings, 'connect')` gave; by default plain. */
  readonly security?: Security;
}

/**
 * Connects; resolves when the peer has proved who it is, where there is security. Rejects with
 * E_CHANNEL_REFUSED, E_CHANNEL_TIMEOUT, E_CANCELLED or E_TLS_*; then nothing is left open.
 */
export async function connectTcp(address: TcpAddress, options: ConnectOptions): Promise<Channel> {
  const { clock, timeoutMs, signal, security = NO_SECURITY } = options;
  const name = formatAddress(address);
  if (signal?.aborted) throw cancelled(name);
  const connected = deferred<void>();
  const channel = new FrameChannel(name, clock, (events) => {
    const failed = (error: SternaError) => {
      connected.reject(error);
      events.failed(error);
    };
    const opening: Opening = { address, name, clock, connected: () => connected.resolve() };
    return security.kind === 'none'
      ? openPlain(opening, { ...events, failed })
      : openSecure(opening, security, { ...events, failed });
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

interface Opening {
  readonly address: TcpAddress;
  readonly name: string;
  readonly clock: Clock;
  readonly connected: () => void;
}

function openPlain({ address, name, clock, connected }: Opening, events: TransportEvents) {
  // node:net asks for the first buffer at once and for the next one after each read.
  const onread = { buffer: () => events.buffer(), callback: (n: number) => events.callback(n) };
  const socket = connect({ host: address.host, port: address.port, onread });
  socket.pause();
  socket.once('connect', connected);
  return new TcpTransport(name, socket, clock, events);
}

type TlsConnectOptions = ConnectionOptions & { readonly onread: OnReadOpts };

function openSecure(
  { address, name, clock, connected }: Opening,
  security: Protection,
  events: TransportEvents,
): Transport {
  const { host, port } = address;
  const held = new HeldReads(events, () => socket.destroy(tooEarly(name)));
  const onread = { buffer: () => held.buffer(), callback: (n: number) => held.callback(n) };
  // The types leave `onread` out; the documentation of tls.connect() has it.
  const options: TlsConnectOptions = { host, port, ...connectOptions(security, host), onread };
  const socket = connectTls(options);
  // Before the transport hears of it: what fails until then is the handshake.
  const onHandshakeError = (error: Error) => {
    if (!isTlsFailure(error)) return events.failed(channelError(name, error));
    events.failed(tlsError(name, error, security.kind));
  };
  socket.once('error', onHandshakeError);
  socket.once('secureConnect', () => {
    socket.off('error', onHandshakeError);
    const [own] = security.kind === 'psk' ? security.keys : [];
    const peer = checkPeer(security, { name, socket, claimed: own?.identity });
    if (peer instanceof SternaError) return events.failed(peer);
    connected();
  });
  return new TcpTransport(name, socket, clock, events, held);
}

export interface AcceptOptions {
  readonly clock: Clock;
  readonly readMode: ReadMode | undefined;
  /** The connection is over and its resources are free. */
  readonly onClosed: () => void;
}

/** The channel of a connection that a server accepted with `pauseOnConnect`. */
export function acceptTcp(accepted: Socket, options: AcceptOptions): Channel {
  const name = nameOf(accepted);
  return new FrameChannel(name, options.clock, (events) => {
    const socket = adoptAccepted(accepted, events, options.readMode);
    socket.once('close', options.onClosed);
    return new TcpTransport(name, socket, options.clock, events);
  });
}

/** What the channel of an accepted connection is called. */
export function nameOf({ remoteAddress: host = 'unknown', remotePort: port = 0 }: Socket): string {
  return formatAddress({ kind: 'tcp', host, port });
}

/** For a peer that sends before anybody listens, more than one read of the socket could bring. */
export function tooEarly(name: string): SternaError {
  return new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', `Too much came too early from ${name}`);
}

function cancelled(name: string): SternaError {
  return new SternaError('E_CANCELLED', `Connecting to ${name} was cancelled`);
}

function timedOut(name: string, timeoutMs: number): SternaError {
  return new SternaError('E_CHANNEL_TIMEOUT', `No answer from ${name}`, { detail: { timeoutMs } });
}
