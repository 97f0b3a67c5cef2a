import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../src/base/index.ts';
import type { TcpAddress } from '../../src/channel/index.ts';
import { ProxyDirection, type ProxyFaults } from './proxy-direction.ts';
import { ProxyPipe } from './proxy-pipe.ts';

export interface FaultyProxyOptions {
  readonly target: TcpAddress;
  /** What happens to bytes from the one who connected (the migration's source, usually). */
  readonly toTarget?: ProxyFaults;
  /** What happens to the answers. */
  readonly toClient?: ProxyFaults;
}

interface ProxiedConnection {
  readonly client: Socket;
  readonly target: Socket;
}

/**
 * A TCP proxy between two real endpoints that delays, limits, cuts, stalls and corrupts, and counts
 * what really crossed. The kernel's socket buffers on both of its sides are part of the link: up to
 * a few MiB are in flight.
 */
export class FaultyProxy {
  readonly toTarget: ProxyDirection;
  readonly toClient: ProxyDirection;
  private readonly target: TcpAddress;
  private readonly server: Server;
  private readonly connections = new Set<ProxiedConnection>();
  private connected = 0;

  private constructor(options: FaultyProxyOptions) {
    const clock = systemClock();
    this.target = options.target;
    this.toTarget = new ProxyDirection(clock, options.toTarget ?? {});
    this.toClient = new ProxyDirection(clock, options.toClient ?? {});
    this.server = createServer({ noDelay: true, allowHalfOpen: true }, (client) =>
      this.accept(client),
    );
  }

  static async start(options: FaultyProxyOptions): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(options);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  get address(): TcpAddress {
    // A listening TCP server has an AddressInfo.
    const { port } = this.server.address() as AddressInfo;
    return { kind: 'tcp', host: '127.0.0.1', port };
  }

  /** Connections since the start. */
  get connectionCount(): number {
    return this.connected;
  }

  /** Breaks every connection; new ones are still accepted. */
  cut(): void {
    for (const { client, target } of this.connections) {
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
  }

  /** Forwards nothing more, in both directions, and keeps the connections open. */
  stall(): void {
    this.toTarget.stall();
    this.toClient.stall();
  }

  resume(): void {
    this.toTarget.resume();
    this.toClient.resume();
  }

  async close(): Promise<void> {
    this.resume();
    const closed = once(this.server, 'close');
    this.server.close();
    for (const { client, target } of this.connections) {
      client.destroy();
      target.destroy();
    }
    await closed;
  }

  private accept(client: Socket): void {
    this.connected += 1;
    const { host, port } = this.target;
    const target = connect({ host, port, noDelay: true, allowHalfOpen: true });
    const connection = { client, target };
    this.connections.add(connection);
    const cut = () => {
      client.resetAndDestroy();
      target.resetAndDestroy();
    };
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      socket.on('error', () => other.resetAndDestroy());
      socket.on('close', () => {
        if (client.destroyed && target.destroyed) this.connections.delete(connection);
      });
    }
    new ProxyPipe(client, target, this.toTarget, cut);
    new ProxyPipe(target, client, this.toClient, cut);
  }
}
