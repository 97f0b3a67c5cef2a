import { createServer, type Server, type Socket } from 'node:net';
import { deferred, type Logger, SternaError } from '../../base/index.ts';
import { formatAddress, type TcpAddress } from '../../channel/index.ts';
import type { Mailbox } from '../../guest/index.ts';
import { ServiceConnection } from './service-connection.ts';
import { ServiceDesk } from './service-desk.ts';

/** More are turned away: each costs a socket and a buffer. */
const CONNECTIONS_MAX = 1024;

/**
 * The port at which clients of a guest's service meet its mailbox. While no guest is here, or none
 * that serves, a connection is closed at once: its client tries the guest's other address.
 */
export class ServicePort {
  private readonly server: Server;
  private readonly log: Logger;
  private readonly connections = new Set<ServiceConnection>();
  private desk: ServiceDesk | undefined;

  constructor(log: Logger) {
    this.log = log;
    this.server = createServer({ noDelay: true }, (socket) => this.accept(socket));
  }

  /** Resolves with the real address; rejects with E_CONFIG_INVALID. */
  async listen(address: TcpAddress): Promise<string> {
    const opened = deferred<void>();
    this.server.once('listening', () => opened.resolve());
    this.server.once('error', (cause) => {
      const text = `Cannot listen for the guest's clients on ${formatAddress(address)}`;
      const detail = { cause: cause.message };
      opened.reject(new SternaError('E_CONFIG_INVALID', text, { cause, detail }));
    });
    this.server.listen({ host: address.host, port: address.port });
    await opened.promise;
    const bound = this.server.address();
    const port = bound === null || typeof bound === 'string' ? address.port : bound.port;
    return formatAddress({ ...address, port });
  }

  /** The guest lives here now. */
  serve(mailbox: Mailbox): void {
    this.withdraw();
    if (mailbox.service === undefined) return;
    this.desk = new ServiceDesk(mailbox);
    this.log.info({ event: 'service.opened', service: mailbox.service });
  }

  /** It does not any more: its clients are sent away, and find it elsewhere. */
  withdraw(): void {
    if (this.desk === undefined) return;
    this.log.info({ event: 'service.closed', connections: this.connections.size });
    this.desk.close();
    this.desk = undefined;
    for (const connection of this.connections) connection.close();
    this.connections.clear();
  }

  close(): void {
    this.withdraw();
    this.server.close();
  }

  private accept(socket: Socket): void {
    if (this.desk === undefined || this.connections.size >= CONNECTIONS_MAX) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const connection = new ServiceConnection(socket, this.desk);
    this.connections.add(connection);
    socket.once('close', () => this.connections.delete(connection));
  }
}
