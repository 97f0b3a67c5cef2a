import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTcpAddress } from '../../../src/channel/index.ts';
import { FrameDecoder, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { AgentHarness, BUSY_GUEST, type Fields, isProven } from './agent-harness.ts';

/**
 * The link dies around GRANT: nobody runs until the operator decides, and then exactly one side
 * does.
 */

/** A link that is cut when GRANT is about to cross it, or when the answer to it is. */
async function linkCutAt(
  type: number,
  targetUri: string,
): Promise<{ server: Server; uri: string }> {
  const target = parseTcpAddress(targetUri);
  const server = createServer((client) => {
    const destination = connect(target.port, target.host);
    const ends = [client, destination];
    for (const [from, to] of [ends, ends.toReversed()] as [typeof client, typeof client][]) {
      const decoder = new FrameDecoder();
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      from.on('data', (chunk: Buffer) => {
        decoder.push(chunk);
        for (let result = decoder.next(); result.kind === 'frame'; result = decoder.next()) {
          if (result.header.type !== type) continue;
          // For good: nobody can be asked.
          server.close();
          for (const end of ends) end.resetAndDestroy();
          return;
        }
        to.write(chunk);
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return { server, uri: `tcp:127.0.0.1:${port}` };
}

describe('ownership when the link dies', () => {
  let harness: AgentHarness;
  let link: { server: Server; uri: string } | undefined;

  beforeEach(() => {
    harness = new AgentHarness();
  });

  afterEach(async () => {
    link?.server.close();
    await harness.end();
  });

  async function migrateOverLinkCutAt(type: number) {
    const source = await harness.source('source', BUSY_GUEST);
    const destination = await harness.destination('destination');
    link = await linkCutAt(type, destination.agent.ready.listen ?? '');
    // So long the source tries to ask. It is also how long a peer may be silent, and on a machine
    // with much else to do a process that is well was silent for 2 s.
    await source.qmp.execute('migrate-set-parameters', { 'x-stall-timeout': 8000 });
    await source.qmp.execute('migrate', { uri: link.uri });
    const failed = await source.migration((reply) => reply.status === 'failed');
    expect(failed['x-sterna']).toMatchObject({
      owner: 'unknown',
      error: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    return { source, destination };
  }

  const isRunning = async (agent: { qmp: { execute(command: string): Promise<unknown> } }) =>
    ((await agent.qmp.execute('query-status')) as Fields).running;

  it('cont refuses when GRANT was lost, and x-take-ownership takes the guest back', async () => {
    const { source, destination } = await migrateOverLinkCutAt(MESSAGE_TYPES.GRANT);
    await destination.migration((reply) => reply.status === 'failed');
    expect(await isRunning(source)).toBe(false);
    expect(await isRunning(destination)).toBe(false);
    await expect(source.qmp.execute('cont')).rejects.toMatchObject({
      sternaError: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    expect(await isRunning(source)).toBe(false);

    await source.qmp.execute('cont', { 'x-take-ownership': true });
    expect(await isRunning(source)).toBe(true);
    await source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    const proven = await source.migration(isProven);
    // 1 -> 2 may have been granted -> 3 taken -> 4 granted.
    expect(proven['x-sterna']).toMatchObject({ epoch: 4, verify: { status: 'identical' } });
    await destination.qmp.execute('stop');
    expect(await destination.qmp.execute('x-check-guest')).toMatchObject({ ok: true });
  });

  it('runs at the destination only when the answer to GRANT was lost', async () => {
    const { source, destination } = await migrateOverLinkCutAt(MESSAGE_TYPES.RESUMED);
    expect(await isRunning(source)).toBe(false);
    expect(await isRunning(destination)).toBe(true);
    await expect(source.qmp.execute('migrate', { uri: 'tcp:127.0.0.1:1' })).rejects.toThrow();
    await expect(
      source.qmp.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' }),
    ).rejects.toThrow();
  });
});
