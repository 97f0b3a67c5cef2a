import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Stage } from './stage.ts';

/** A port at which a program that is no destination does what `behave` says. */
export async function strangePort(
  stage: Stage,
  behave: (connection: Socket) => void,
): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    behave(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stage.atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  // A listening TCP server has an AddressInfo.
  return `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A port that was free a moment ago. */
export async function portOfNobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `tcp:127.0.0.1:${port}`;
}
