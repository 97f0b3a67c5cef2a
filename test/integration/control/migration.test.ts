import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AgentHarness,
  BUSY_GUEST,
  type Driven,
  type Fields,
  isProven,
  story,
} from './agent-harness.ts';

/** Whole migrations between agents, driven by QMP only, as a client of QEMU would. */

interface OurFields {
  readonly epoch: number;
  readonly owner: string;
  readonly side: string;
  readonly verify: { readonly status: string; readonly pages: number };
  readonly error?: { readonly code: string };
}

function ours(reply: Fields): OurFields {
  return reply['x-sterna'] as OurFields;
}

/** A port that was free a moment ago. */
async function addressOfNobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `tcp:127.0.0.1:${port}`;
}

describe('migration by QMP', () => {
  let harness: AgentHarness;

  beforeEach(() => {
    harness = new AgentHarness();
  });

  afterEach(() => harness.end());

  async function hop(from: Driven, to: Driven): Promise<Fields> {
    await from.qmp.execute('migrate', { uri: to.agent.ready.listen });
    const reply = await from.migration(isProven);
    expect(ours(reply).verify).toMatchObject({ status: 'identical' });
    return reply;
  }

  async function checkHere(guest: Driven): Promise<void> {
    await guest.qmp.execute('stop');
    expect(await guest.qmp.execute('x-check-guest')).toMatchObject({ ok: true });
    await guest.qmp.execute('cont');
  }

  it('tells the whole story on both sides when the guest moves', async () => {
    const source = await harness.source('source', BUSY_GUEST);
    const destination = await harness.destination('destination');
    const sent = await hop(source, destination);
    await destination.event('MIGRATION', { status: 'completed' });

    const told = story(source.events);
    expect(told.filter((name) => name !== 'STOP')).toEqual([
      'setup',
      'active',
      'device',
      'completed',
    ]);
    // It is the guest's own event: before `completed`, but not promised to be before or after
    // `device`.
    expect(told.indexOf('STOP')).toBeGreaterThan(told.indexOf('active'));
    expect(told.indexOf('STOP')).toBeLessThan(told.indexOf('completed'));
    expect(story(destination.events)).toEqual(['active', 'device', 'RESUME', 'completed']);
    expect(sent).toMatchObject({
      status: 'completed',
      downtime: expect.any(Number),
      ram: { remaining: 0, total: 16 * 2 ** 20, 'page-size': 4096 },
      'x-sterna': { side: 'source', owner: 'destination', epoch: 2, mode: 'precopy' },
    });
    const received = await destination.migration(isProven);
    expect(received).toMatchObject({
      status: 'completed',
      'x-sterna': { side: 'destination', owner: 'destination', epoch: 2 },
    });
    expect((received.ram as Fields).transferred).toBe((sent.ram as Fields).transferred);

    expect(await source.qmp.execute('query-status')).toEqual({
      running: false,
      status: 'postmigrate',
    });
    expect(await destination.qmp.execute('query-status')).toEqual({
      running: true,
      status: 'running',
    });
    expect(await destination.qmp.execute('query-uuid')).toEqual(
      await source.qmp.execute('query-uuid'),
    );
    await checkHere(destination);
  });

  it('refuses to run the guest at the source when it was granted away', async () => {
    const source = await harness.source('source');
    const destination = await harness.destination('destination');
    await hop(source, destination);
    for (const values of [{}, { 'x-take-ownership': true }]) {
      await expect(source.qmp.execute('cont', values)).rejects.toMatchObject({
        desc: expect.stringContaining('was given to tcp:127.0.0.1:'),
        sternaError: { code: 'E_STATE', guestOwner: 'destination' },
      });
    }
    await expect(source.qmp.execute('migrate', { uri: 'tcp:127.0.0.1:1' })).rejects.toThrow(
      'given away',
    );
  });

  it('moves on over three hops and back to where it began', async () => {
    const first = await harness.source('first', BUSY_GUEST);
    const second = await harness.destination('second');
    const third = await harness.destination('third');
    await hop(first, second);
    // Sent on at once, also while the proof of its arrival still runs.
    await hop(second, third);
    const fourth = await harness.destination('fourth');
    expect(ours(await hop(third, fourth)).epoch).toBe(4);
    // A former source can take a guest in, and a destination that gave its guest away takes the
    // next one.
    await first.qmp.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
    const { 'socket-address': [address] = [] } = (await first.qmp.execute('query-migrate')) as {
      'socket-address'?: { host: string; port: string }[];
    };
    await fourth.qmp.execute('migrate', { uri: `tcp:${address?.host}:${address?.port}` });
    expect(ours(await fourth.migration(isProven)).verify.status).toBe('identical');
    expect(ours(await hop(first, second)).epoch).toBe(6);
    await checkHere(second);
  });

  it('is cancelled at once, the guest goes on, and the next attempt succeeds', async () => {
    const source = await harness.source('source', BUSY_GUEST);
    const destination = await harness.destination('destination');
    await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 2 ** 20 });
    await source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    await source.migration((reply) => reply.status === 'active');
    await destination.migration((reply) => reply.status === 'active');

    const again = source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    await expect(again).rejects.toThrow("There's a migration process in progress");
    const cold = source.qmp.execute('migrate-set-parameters', { 'x-mode': 'stop' });
    await expect(cold).rejects.toThrow("'x-mode' cannot be changed while a migration runs");
    await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 2 * 2 ** 20 });

    await source.qmp.execute('migrate_cancel');
    const cancelled = await source.migration((reply) => reply.status === 'cancelled');
    expect(cancelled).toMatchObject({
      ram: { total: 16 * 2 ** 20 },
      'error-desc': expect.any(String),
      'x-sterna': { owner: 'source', error: { code: 'E_CANCELLED' } },
    });
    expect(await source.qmp.execute('query-status')).toEqual({ running: true, status: 'running' });
    await destination.migration((reply) => reply.status === 'cancelled');
    expect(await destination.qmp.execute('query-status')).toEqual({
      running: false,
      status: 'inmigrate',
    });

    await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 0 });
    await hop(source, destination);
    await checkHere(destination);
  });

  it('fails with the reason when nobody listens, and the guest goes on', async () => {
    const source = await harness.source('source');
    await source.qmp.execute('migrate', { uri: await addressOfNobody() });
    const failed = await source.migration((reply) => reply.status === 'failed');
    expect(failed).toMatchObject({
      'error-desc': expect.stringContaining('ECONNREFUSED'),
      'x-sterna': { owner: 'source', error: { code: 'E_CHANNEL_REFUSED', phase: 'setup' } },
    });
    expect(story(source.events)).toEqual(['setup', 'failed']);
    expect(await source.qmp.execute('query-status')).toEqual({ running: true, status: 'running' });
  });

  it('can be tried again at a destination that refused the guest', async () => {
    const source = await harness.source('source');
    const destination = await harness.destination('destination', {
      expectedUuid: '0f0e0d0c-0000-4000-8000-00000000000d',
    });
    const validate = (state: boolean) =>
      source.qmp.execute('migrate-set-capabilities', {
        capabilities: [{ capability: 'validate-uuid', state }],
      });
    await validate(true);
    await source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    const failed = await source.migration((reply) => reply.status === 'failed');
    expect(ours(failed).error?.code).toBe('E_HANDSHAKE_UUID');
    expect(
      ours(await destination.migration((reply) => reply.status === 'failed')).error?.code,
    ).toBe('E_HANDSHAKE_UUID');
    await validate(false);
    await hop(source, destination);
  });

  it('is refused as busy while another guest comes, and when one is there', async () => {
    const slow = await harness.source('slow', BUSY_GUEST);
    const late = await harness.source('late');
    const destination = await harness.destination('destination');
    const uri = destination.agent.ready.listen;
    await slow.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 2 ** 20 });
    await slow.qmp.execute('migrate', { uri });
    await destination.migration((reply) => reply.status === 'active');
    await late.qmp.execute('migrate', { uri });
    expect(ours(await late.migration((reply) => reply.status === 'failed')).error?.code).toBe(
      'E_BUSY',
    );
    await slow.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 0 });
    await slow.migration(isProven);
    await late.qmp.execute('migrate', { uri });
    await late.migration(
      (reply) => reply.status === 'setup' || ours(reply).error?.code === 'E_BUSY',
    );
    const refused = await late.migration((reply) => reply.status === 'failed');
    expect(ours(refused).error?.code).toBe('E_BUSY');
    expect(await late.qmp.execute('query-status')).toMatchObject({ running: true });
  });

  it('arrives paused when the destination was started so, and cont starts it', async () => {
    const source = await harness.source('source', BUSY_GUEST);
    const destination = await harness.destination('destination', { startPaused: true });
    await hop(source, destination);
    expect(await destination.qmp.execute('query-status')).toEqual({
      running: false,
      status: 'paused',
    });
    expect(story(destination.events)).not.toContain('RESUME');
    await destination.qmp.execute('cont');
    expect(await destination.qmp.execute('query-status')).toEqual({
      running: true,
      status: 'running',
    });
    await checkHere(destination);
  });

  it('goes to a file and comes out of it in another agent', async () => {
    const source = await harness.source('source', BUSY_GUEST);
    const uri = `file:${join(harness.directory, 'guest.sterna')}`;
    await source.qmp.execute('migrate-set-parameters', { 'x-mode': 'stop' });
    await source.qmp.execute('migrate', { uri });
    expect(await source.migration((reply) => reply.status === 'completed')).toMatchObject({
      'x-sterna': { owner: 'destination' },
    });
    expect(existsSync(uri.slice('file:'.length))).toBe(true);
    const destination = await harness.destination('destination', { listen: uri });
    await destination.migration(isProven);
    await checkHere(destination);
  });

  it('ends with the agent when its destination quits in the middle', async () => {
    const source = await harness.source('source', BUSY_GUEST);
    const destination = await harness.destination('destination');
    await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 2 ** 20 });
    await source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    await destination.migration((reply) => reply.status === 'active');
    await destination.qmp.execute('quit');
    expect(await destination.agent.closed).toBe(0);
    await destination.event('SHUTDOWN', { guest: false, reason: 'host-qmp-quit' });
    const failed = await source.migration((reply) => reply.status === 'failed');
    expect(ours(failed)).toMatchObject({ owner: 'source' });
    expect(await source.qmp.execute('query-status')).toEqual({ running: true, status: 'running' });
  });
});
