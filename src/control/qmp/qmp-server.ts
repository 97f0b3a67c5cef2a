import { createServer, type Server, type Socket } from 'node:net';
import { type Logger, SternaError } from '../../base/index.ts';
import { type Address, formatAddress, isLoopback, parseAddress } from '../../channel/index.ts';
import type { AgentControl } from '../agent-control.ts';
import { openServer } from '../sockets/open-server.ts';
import type { QmpCommands } from './qmp-command.ts';
import { QmpDispatcher } from './qmp-dispatcher.ts';
import { QmpSession } from './qmp-session.ts';

/** QMP on Unix sockets and loopback TCP, for any number of clients. */
export class QmpServer {
  private readonly agent: AgentControl;
  private readonly commands: QmpCommands;
  private readonly log: Logger;
  private readonly servers: Server[] = [];
  private readonly sessions = new Set<QmpSession>();

  constructor(agent: AgentControl, commands: QmpCommands, log: Logger) {
    this.agent = agent;
    this.commands = commands;
    this.log = log;
  }

  /** Listens there too. Resolves with the real address; rejects with E_CONFIG_INVALID. */
  async listen(text: string): Promise<string> {
    const address = parseAddress(text);
    if (address.kind === 'file') {
      throw new SternaError('E_CONFIG_INVALID', `QMP needs unix:PATH or tcp:HOST:PORT: ${text}`);
    }
    if (address.kind === 'tcp' && !isLoopback(address.host)) {
      // Whoever reaches QMP can read the guest's memory and write files: it stays on this host.
      const message = `QMP over TCP is for loopback only: ${address.host}`;
      throw new SternaError('E_CONFIG_INVALID', message);
    }
    const server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket));
    await openServer(server, address, 'QMP');
    this.servers.push(server);
    return formatAddress(realAddress(server, address));
  }

  /** To every client that has negotiated. */
  broadcast(event: unknown): void {
    for (const session of this.sessions) session.sendEvent(event);
  }

  /** Sends what was written, and ends every connection. */
  close(): void {
    for (const server of this.servers) server.close();
    for (const session of this.sessions) session.close();
  }

  private accept(socket: Socket): void {
    const dispatcher = new QmpDispatcher(this.agent, this.commands, this.log);
    const session = new QmpSession(socket, dispatcher, this.log);
    this.sessions.add(session);
    socket.on('close', () => this.sessions.delete(session));
  }
}

function realAddress(server: Server, address: Address): Address {
  const bound = server.address();
  if (address.kind !== 'tcp' || bound === null || typeof bound === 'string') return address;
  return { ...address, port: bound.port };
}
