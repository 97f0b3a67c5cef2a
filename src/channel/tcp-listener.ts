import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, type Logger, SternaError } from '../base/index.ts';
import { formatAddress, type TcpAddress } from './address.ts';
import type { ReadMode } from './adopt.ts';
import type { Channel } from './channel.ts';
import { Places } from './security/places.ts';
import { NO_SECURITY, type Security } from './security/security.ts';
import { TlsAcceptor } from './security/tls-acceptor.ts';
import { acceptTcp } from './tcp-channel.ts';

export interface TcpListenerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * More connections at a time than this are closed at once, before anything is allocated for them.
   */
  readonly connectionCountMax: number;
  /** Of these, how many may come from one host; by default all. */
  readonly connectionCountPerHostMax?: number;
  /** What `loadSecurity(settings, 'accept')` gave; by default plain. */
  readonly security?: Security;
  /** Called with each connection, not started; with security, when its peer has proved itself. */
  readonly onConnection: (channel: Channel) => void;
  /** How accepted sockets are read; by default the fastest way that this Node has. */
  readonly readMode?: ReadMode;
}

/**
 * Handshakes at a time, and those of one host. They are no connections yet: a crowd of strangers
 * holds none of the places of those who have proved themselves, and drops out oldest first. One
 * costs about 100 KiB.
 */
const HANDSHAKE_LIMITS = { total: 64, perHost: 32 };

/** Accepts migration connections on one address. */
export class TcpListener {
  private readonly server: Server;
  private readonly options: TcpListenerOptions;
  private readonly requested: TcpAddress;
  private readonly places: Places;
  private readonly handshakes = new Places(HANDSHAKE_LIMITS);
  private readonly acceptor: TlsAcceptor | undefined;

  private constructor(requested: TcpAddress, options: TcpListenerOptions) {
    this.requested = requested;
    this.options = options;
    const { connectionCountMax: total, connectionCountPerHostMax: perHost = total } = options;
    this.places = new Places({ total, perHost });
    const { clock, log, readMode, security = NO_SECURITY } = options;
    if (security.kind !== 'none') {
      this.acceptor = new TlsAcceptor({ security, clock, log, readMode });
    }
    // Paused, so that no byte is read before the channel says where to.
    this.server = createServer({ pauseOnConnect: true }, (socket) => this.accept(socket));
  }

  /** Rejects with E_CONFIG_INVALID when the address cannot be had. */
  static async listen(address: TcpAddress, options: TcpListenerOptions): Promise<TcpListener> {
    const listener = new TcpListener(address, options);
    await listener.open();
    return listener;
  }

  /**
   * The real address: the host as it was given, and the port that was assigned where 0 was asked.
   */
  get address(): TcpAddress {
    const bound = this.server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : this.requested.port;
    return { ...this.requested, port };
  }

  /** Accepts no more, and frees the port. Connections that exist stay. */
  close(): void {
    this.server.close();
  }

  private open(): Promise<void> {
    const { host, port } = this.requested;
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => {
        const text = `Cannot listen on ${formatAddress(this.requested)}`;
        const detail = { cause: error.message, systemCode: error.code };
        reject(new SternaError('E_CONFIG_INVALID', text, { cause: error, detail }));
      });
      this.server.listen({ host, port }, () => {
        // From now on an error is a failed accept (no file descriptors, say): the listener goes on.
        this.server.on('error', (error) => {
          this.options.log.warn({ event: 'channel.accept-failed', cause: error.message });
        });
        resolve();
      });
    });
  }

  private accept(accepted: Socket): void {
    // A connection that its peer has reset already has no address, and nothing to say.
    accepted.on('error', () => {});
    if (this.acceptor !== undefined) return this.acceptSecure(accepted, this.acceptor);
    const { clock, readMode, onConnection } = this.options;
    const place = { host: hostOf(accepted), drop: () => {} };
    if (!this.places.take(place)) return this.refuse(accepted);
    const onClosed = () => this.places.leave(place);
    onConnection(acceptTcp(accepted, { clock, readMode, onClosed }));
  }

  private acceptSecure(accepted: Socket, acceptor: TlsAcceptor): void {
    const host = hostOf(accepted);
    const place = { host, drop: () => {} };
    // Its name is gone once its handle has moved.
    const waiting = { host, drop: () => drop() };
    const drop = acceptor.accept(accepted, {
      secured: (channel) => {
        this.handshakes.leave(waiting);
        if (this.places.take(place)) return this.options.onConnection(channel);
        this.noteRefused(host);
        channel.destroy();
      },
      refused: () => this.handshakes.leave(waiting),
      closed: () => this.places.leave(place),
    });
    this.handshakes.takeFromOldest(waiting);
  }

  private refuse(accepted: Socket): void {
    this.noteRefused(hostOf(accepted));
    accepted.destroy();
  }

  private noteRefused(peer: string): void {
    const { log, connectionCountMax } = this.options;
    log.warn({ event: 'channel.refused', peer, connectionCountMax });
  }
}

function hostOf({ remoteAddress = 'unknown' }: Socket): string {
  return remoteAddress;
}
