import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished } from 'vitest';
import { guestTest } from '../../support/riscv-compiler.ts';
import { AgentHarness, type Driven, type Fields, IDLE_GUEST, story } from './agent-harness.ts';
import { type Line, serialLine, waitingGuest } from './board-stage.ts';

/**
 * A guest that powers off while it is migrated, in each phase: it ends with the agent that owns it,
 * the other side is told, and nothing waits for it.
 */

/** What a migration has to do: eight seconds of it at this rate. */
const BALLAST_BYTES = 8 * 2 ** 20;
const SLOW_BYTES_PER_SECOND = 2 ** 20;

let harness: AgentHarness;

beforeEach(() => {
  harness = new AgentHarness();
});

afterEach(async () => {
  await harness.end();
});

interface Pair {
  readonly source: Driven;
  readonly destination: Driven;
  readonly here: Line;
  readonly there: Line;
}

async function pair(): Promise<Pair> {
  const [here, there] = [
    await serialLine(harness.directory, 'here'),
    await serialLine(harness.directory, 'there'),
  ];
  const agent = await harness.start({
    ...{
      name: 'source',
      role: 'source',
      machine: waitingGuest(harness.directory, randomBytes(BALLAST_BYTES)),
    },
    serial: here.serial,
  });
  const source = await harness.driven(agent);
  const destination = await harness.destination('destination', { serial: there.serial });
  await here.says('ready');
  return { source, destination, here, there };
}

async function migrate(source: Driven, uri: string | null, parameters: Fields): Promise<void> {
  await source.qmp.execute('migrate-set-parameters', parameters);
  await source.qmp.execute('migrate', { uri });
}

const failedWith = (reply: Fields) =>
  (reply['x-sterna'] as { error?: { code: string } } | undefined)?.error?.code;

function ends(driven: Driven): Promise<number> {
  return driven.agent.closed;
}

const GUEST_SHUTDOWN = { guest: true, reason: 'guest-shutdown' };

guestTest(
  'a guest that ends in pre-copy ends its agent, and the destination waits on',
  async () => {
    const { source, destination, here } = await pair();
    await migrate(source, destination.agent.ready.listen, {
      'max-bandwidth': SLOW_BYTES_PER_SECOND,
    });
    for (const side of [source, destination]) await side.event('MIGRATION', { status: 'active' });
    here.type('.');
    expect(await ends(source)).toBe(0);
    expect(story(source.events)).toEqual(['setup', 'active', 'SHUTDOWN', 'failed']);
    await source.event('SHUTDOWN', GUEST_SHUTDOWN);
    const reply = await destination.migration(({ status }) => status === 'failed');
    expect(failedWith(reply)).toBe('E_GUEST_ENDED');
    expect(reply['x-sterna']).toMatchObject({ owner: 'source' });
    // It takes the next one.
    const next = await harness.source('next', IDLE_GUEST);
    await migrate(next, destination.agent.ready.listen, {});
    await next.migration(({ status }) => status === 'completed');
  },
);

guestTest('a guest that ends before its destination has answered ends its agent', async () => {
  const { source, here } = await pair();
  const deaf = createServer();
  onTestFinished(() => void deaf.close());
  const port = await new Promise<number>((resolve) => {
    deaf.listen(0, '127.0.0.1', () => resolve((deaf.address() as { port: number }).port));
  });
  const connected = once(deaf, 'connection') as Promise<[Socket]>;
  await migrate(source, `tcp:127.0.0.1:${port}`, {});
  const [socket] = await connected;
  here.type('.');
  expect(await ends(source)).toBe(0);
  expect(story(source.events)).toEqual(['setup', 'SHUTDOWN', 'failed']);
  socket.destroy();
});

guestTest(
  'a guest that ends at its destination ends that, and its migration is whole',
  async () => {
    const { source, destination, there } = await pair();
    await migrate(source, destination.agent.ready.listen, { 'x-mode': 'stop', 'max-bandwidth': 0 });
    await destination.event('RESUME');
    there.type('.');
    expect(await ends(destination)).toBe(0);
    await destination.event('SHUTDOWN', GUEST_SHUTDOWN);
    const reply = await source.migration(({ status }) => status === 'completed');
    expect(reply['x-sterna']).toMatchObject({
      owner: 'destination',
      verify: { status: 'identical' },
    });
    expect(await source.qmp.execute('query-status')).toMatchObject({ status: 'postmigrate' });
    expect(story(source.events)).not.toContain('SHUTDOWN');
  },
);

guestTest('a guest that ends in post-copy has all its pages follow first', async () => {
  const { source, destination, there } = await pair();
  await migrate(source, destination.agent.ready.listen, {
    'x-mode': 'postcopy',
    'max-postcopy-bandwidth': 4 * SLOW_BYTES_PER_SECOND,
  });
  await destination.event('MIGRATION', { status: 'postcopy-active' });
  there.type('.');
  await destination.event('SHUTDOWN', GUEST_SHUTDOWN);
  expect(await destination.qmp.execute('query-migrate')).toMatchObject({
    status: 'postcopy-active',
  });
  expect(await destination.qmp.execute('query-status')).toMatchObject({ status: 'shutdown' });
  expect(await ends(destination)).toBe(0);
  const reply = await source.migration(({ status }) => status === 'completed');
  expect(reply['x-sterna']).toMatchObject({
    owner: 'destination',
    verify: { status: 'identical' },
  });
  expect(story(source.events).slice(-2)).toEqual(['postcopy-active', 'completed']);
});
