import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ErpClient, StreamClient } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';

/** What clients of a guest see while it moves: real sockets to both agents. */

const SERVICE = ['--service', 'tcp:127.0.0.1:0'];
const RAM_PAGES = 4096;

function servicesOf(...sites: readonly Site[]): string[] {
  return sites.map(({ agent }) => String(agent.ready.service));
}

/** Resolves when the other side has closed the connection. */
async function turnedAway(address: string): Promise<void> {
  const port = Number(address.split(':').at(-1));
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
}

describe('clients of a guest that moves', () => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage();
  });

  afterEach(() => stage.end());

  function agents(workload: string, vcpus = 1): Promise<[Site, Site]> {
    return Promise.all([
      stage.source('source', { workload, vcpus, more: SERVICE }),
      stage.destination('destination', SERVICE),
    ]);
  }

  async function moves(source: Site, destination: Site, mode: string): Promise<void> {
    await source.set({ 'x-mode': mode });
    await source.migrate(listenUri(destination));
    const reply = await source.proven();
    expect(reply['x-sterna'].verify).toMatchObject({ status: 'identical', pages: RAM_PAGES });
    await destination.hasStatus('completed');
  }

  it.each(['precopy', 'postcopy'])('see every frame of a stream: %s', async (mode) => {
    const framesPerSecond = 50;
    const workload = `stream,ring=8M,frame=32K,fps=${framesPerSecond},change=50`;
    const [source, destination] = await agents(workload, 2);
    await source.advances(100);
    const addresses = servicesOf(source, destination);
    const clients = [0, 1].map((channel) =>
      StreamClient.start({ addresses, framesPerSecond, bufferMs: 200, channel }),
    );
    const haveSeen = (frames: number) =>
      until(`${frames} frames at each client`, () =>
        clients.every((client) => client.report().frames >= frames) ? true : undefined,
      );
    await haveSeen(20);
    await moves(source, destination, mode);
    const [first] = clients;
    await haveSeen((first?.report().frames ?? 0) + 30);
    for (const client of clients) {
      const report = await client.stop();
      expect(report).toMatchObject({ lostFrames: 0, damagedFrames: 0, damage: undefined });
      expect(report.connections).toBeGreaterThanOrEqual(2);
    }
    await destination.checkGuest();
    await turnedAway(String(addresses[0]));
  });

  it.each(['precopy', 'postcopy'])('keep their sessions and transactions: %s', async (mode) => {
    const workload = 'erp,heap=12M,updates=200,sessions=6,rate=2000';
    const [source, destination] = await agents(workload, 2);
    const addresses = servicesOf(source, destination);
    const client = ErpClient.start({ addresses, sessions: 6, thinkMs: 5 });
    const haveDone = (transactions: number) =>
      until(`${transactions} transactions`, () =>
        client.report().transactions >= transactions ? true : undefined,
      );
    await haveDone(50);
    await moves(source, destination, mode);
    await haveDone(client.report().transactions + 50);
    // Those that came over first may have done all of these.
    await until('every session at both', () => client.report().connections >= 12 || undefined);
    const report = await client.stop();
    expect(report).toMatchObject({ sessionsAlive: 6, sessionsDead: 0, firstDeath: undefined });
    expect(report.latencyMaxMs).toBeGreaterThanOrEqual(report.latencyP99Ms);
    await destination.checkGuest();
  });

  it('lose a session whose transaction takes too long', async () => {
    const [source] = await agents('erp,heap=12M,updates=200,sessions=2');
    const addresses = servicesOf(source);
    const client = ErpClient.start({ addresses, sessions: 2, thinkMs: 1, limitMs: 400 });
    await until('transactions', () => (client.report().transactions > 10 ? true : undefined));
    await source.qmp.execute('stop');
    await until('all are dead', () => (client.report().sessionsDead === 2 ? true : undefined));
    const report = await client.stop();
    expect(report.firstDeath).toMatch(/no answer within 400 ms$/);
  });

  it.each(['precopy', 'postcopy'])('lmbench moves while it writes: %s', async (mode) => {
    const [source, destination] = await Promise.all([
      stage.source('source', {
        workload: 'lmbench,fill=8M,size=4M,unit=1,stride=1K,rate=4000',
        vcpus: 2,
      }),
      stage.destination('destination'),
    ]);
    await source.advances(1000);
    await moves(source, destination, mode);
    await destination.advances(100);
    await destination.checkGuest();
  });

  it('are closed out when they say something else, or when nobody is here', async () => {
    const [source, destination] = await agents('stream');
    await turnedAway(String(destination.agent.ready.service));
    const port = Number(String(source.agent.ready.service).split(':').at(-1));
    const socket = connect({ host: '127.0.0.1', port });
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    await source.advances();
  });

  it('are served on the loopback only, unless the agent is insecure', async () => {
    const open = ['--service', 'tcp:0.0.0.0:0'];
    await expect(stage.destination('shut', open)).rejects.toMatchObject({
      detail: {
        log: expect.arrayContaining([
          expect.stringMatching(/Clients of a guest are not encrypted/),
        ]),
      },
    });
    const { agent } = await stage.destination('open', [...open, '--insecure']);
    expect(agent.ready.service).toMatch(/^tcp:0\.0\.0\.0:\d+$/);
  });
});
