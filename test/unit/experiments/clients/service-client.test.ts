import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../../src/base/index.ts';
import { ServiceClient } from '../../../../src/experiments/clients/service-client.ts';
import { encodeAnswer } from '../../../../src/guest/index.ts';
import { until } from '../../../support/until.ts';

const ANSWER = { status: 'done', session: 1, number: 1, body: Buffer.alloc(0) } as const;

test('ask() dials anew when its connection was closed while nobody asked', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', () => socket.write(encodeAnswer(ANSWER)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const client = new ServiceClient([`tcp:127.0.0.1:${port}`], systemClock());
  onTestFinished(() => client.close());
  const request = { service: 'erp', session: 1, number: 1 } as const;
  const ask = () => client.ask(request, AbortSignal.timeout(5000));
  expect(await ask()).toMatchObject({ status: 'done' });
  sockets[0]?.destroy();
  await once(sockets[0] as Socket, 'close');
  await until('its other end is closed too', () => !client.isConnected || undefined);
  expect(await ask()).toMatchObject({ status: 'done' });
  expect(client.connections).toBe(2);
});
