import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, type Logger, SternaError } from '../base/index.ts';
import { formatAddress, type TcpAddress } from './address.ts';
import type { ReadMode } from './adopt.ts';
import type { Channel } from './channel.ts';
import { acceptTcp } from './tcp-channel.ts';

export interface TcpListenerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * More connections at a time than this are closed at once, before anything is allocated for them.
   */
  readonly connectionCountMax: number;
  /** Called with each connection, not started. */
  readonly onConnection: (channel: Channel) => void;
  /** How accepted sockets are read; by default the fastest way that this Node has. */
  readonly readMode?: ReadMode;
}

/** Accepts migration connections on one address. */
export class TcpListener {
  private readonly server: Server;
  private readonly options: TcpListenerOptions;
  private readonly requested: TcpAddress;
  private connectionCount = 0;

  private constructor(requested: TcpAddress, options: TcpListenerOptions) {
    this.requested = requested;
    this.options = options;
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
    const { clock, log, connectionCountMax, onConnection, readMode } = this.options;
    if (this.connectionCount >= connectionCountMax) {
      log.warn({ event: 'channel.refused', peer: accepted.remoteAddress, connectionCountMax });
      accepted.on('error', () => {});
      accepted.destroy();
      return;
    }
    this.connectionCount += 1;
    const onClosed = () => {
      this.connectionCount -= 1;
    };
    onConnection(acceptTcp(accepted, { clock, readMode, onClosed }));
  }
}
