import { lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { deferred, type Logger, SternaError } from '../../base/index.ts';
import {
  type Address,
  formatAddress,
  isLoopback,
  parseAddress,
  type TcpAddress,
} from '../../channel/index.ts';
import type { AgentControl } from '../agent-control.ts';
import type { QmpCommands } from './qmp-command.ts';
import { QmpDispatcher } from './qmp-dispatcher.ts';
import { QmpSession } from './qmp-session.ts';

/** Only the owner of the agent may connect. */
const SOCKET_UMASK = 0o177;

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
    const server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket));
    if (address.kind === 'unix') await listenUnix(server, address.path);
    else if (address.kind === 'tcp') await listenTcp(server, address);
    else throw new SternaError('E_CONFIG_INVALID', `QMP needs unix:PATH or tcp:HOST:PORT: ${text}`);
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

async function listenUnix(server: Server, path: string): Promise<void> {
  await removeStaleSocket(path);
  const listening = whenListening(server, `unix:${path}`);
  // bind(2) happens inside listen(): the socket is born with its mode, and there is no moment at
  // which others may connect. Only the main thread may set the mask; elsewhere (a test in a worker)
  // the directory has to protect it.
  const previous = isMainThread ? process.umask(SOCKET_UMASK) : undefined;
  try {
    server.listen(path);
  } finally {
    if (previous !== undefined) process.umask(previous);
  }
  await listening;
}

async function listenTcp(server: Server, address: TcpAddress): Promise<void> {
  if (!isLoopback(address.host)) {
    // Whoever reaches QMP can read the guest's memory and write files: it stays on this host.
    throw new SternaError('E_CONFIG_INVALID', `QMP over TCP is for loopback only: ${address.host}`);
  }
  const listening = whenListening(server, formatAddress(address));
  server.listen({ host: address.host, port: address.port });
  await listening;
}

function whenListening(server: Server, name: string): Promise<void> {
  const opened = deferred<void>();
  server.once('listening', () => opened.resolve());
  server.once('error', (cause) => {
    const detail = { cause: cause.message };
    const text = `Cannot listen for QMP on ${name}`;
    opened.reject(new SternaError('E_CONFIG_INVALID', text, { cause, detail }));
  });
  return opened.promise;
}

/**
 * A socket that a killed agent left behind is in the way; one that answers, or another file, stays.
 */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isSocket()) return;
  const answer = deferred<boolean>();
  const probe = connect(path);
  probe.once('connect', () => answer.resolve(true));
  probe.once('error', (error: NodeJS.ErrnoException) => {
    answer.resolve(error.code !== 'ECONNREFUSED');
  });
  const alive = await answer.promise;
  probe.destroy();
  if (!alive) unlinkSync(path);
}

function realAddress(server: Server, address: Address): Address {
  const bound = server.address();
  if (address.kind !== 'tcp' || bound === null || typeof bound === 'string') return address;
  return { ...address, port: bound.port };
}
