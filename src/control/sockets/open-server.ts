import { lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { deferred, SternaError } from '../../base/index.ts';
import { formatAddress, type TcpAddress } from '../../channel/index.ts';

/** Only the owner of the agent may connect. */
const SOCKET_UMASK = 0o177;

export type ServerAddress = TcpAddress | { readonly kind: 'unix'; readonly path: string };

/**
 * Has `server` listen there, and resolves when it does. A Unix socket is for this user alone.
 * `what`: for whom, which errors say. Rejects with E_CONFIG_INVALID.
 */
export async function openServer(
  server: Server,
  address: ServerAddress,
  what: string,
): Promise<void> {
  if (address.kind === 'unix') return openUnix(server, address.path, what);
  const listening = whenListening(server, address, what);
  server.listen({ host: address.host, port: address.port });
  await listening;
}

async function openUnix(server: Server, path: string, what: string): Promise<void> {
  await removeStaleSocket(path);
  const listening = whenListening(server, { kind: 'unix', path }, what);
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

function whenListening(server: Server, address: ServerAddress, what: string): Promise<void> {
  const opened = deferred<void>();
  server.once('listening', () => opened.resolve());
  server.once('error', (cause) => {
    const detail = { cause: cause.message };
    const text = `Cannot listen for ${what} on ${formatAddress(address)}`;
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
