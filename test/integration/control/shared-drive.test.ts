import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { guestTest } from '../../support/riscv-compiler.ts';
import { AgentHarness, type Driven, type Fields, isProven } from './agent-harness.ts';
import { waitingGuest } from './board-stage.ts';

/** One image of a disk on one host: one guest writes it, wherever the guest is. */

let harness: AgentHarness;
let drives: string[];

beforeEach(() => {
  harness = new AgentHarness();
  const image = join(harness.directory, 'disk');
  writeFileSync(image, new Uint8Array(2 ** 20));
  drives = [`file=${image},format=raw`];
});

afterEach(() => harness.end());

async function source(name: string): Promise<Driven> {
  const machine = waitingGuest(harness.directory, new Uint8Array(4096));
  return harness.driven(await harness.start({ name, role: 'source', machine, drives }));
}

async function move(from: Driven, uri: string | null): Promise<Fields> {
  await from.qmp.execute('migrate', { uri });
  return from.migration((reply) => isProven(reply) || reply.status === 'failed');
}

const locks = () => readdirSync(harness.directory).filter((name) => name.startsWith('disk.lock-'));

const refused = (agent: string) =>
  expect.objectContaining({
    code: 'E_DRIVE_LOCKED',
    message: expect.stringContaining(`Process ${process.pid} (agent ${agent}) writes the image`),
  });

guestTest('a source is refused an image that another guest writes', async () => {
  await source('first');
  await expect(source('second')).rejects.toEqual(refused('first'));
  expect(locks()).toHaveLength(1);
  await harness.end();
});

guestTest('an image goes with its guest, there and back, and is never free between', async () => {
  const here = await source('here');
  const there = await harness.destination('there', { drives });
  // It waits for a guest, and uses nothing.
  expect(locks()).toHaveLength(1);
  expect((await move(here, there.agent.ready.listen)).status).toBe('completed');
  await expect(source('second')).rejects.toEqual(refused('there'));
  const uri = (await here.qmp.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' })) as unknown;
  expect(uri).toEqual({});
  const { 'socket-address': [address] = [] } = (await here.qmp.execute('query-migrate')) as {
    'socket-address'?: { host: string; port: string }[];
  };
  const back = await move(there, `tcp:${address?.host}:${address?.port}`);
  expect(back.status).toBe('completed');
  await expect(source('second')).rejects.toEqual(refused('here'));
  expect(locks()).toHaveLength(1);
  await here.agent.close();
  expect(locks()).toEqual([]);
});

guestTest('a guest does not come where another one writes the image of its disk', async () => {
  const own = drives;
  await source('here');
  // The same disk of a guest on another host, as far as the two can tell.
  const image = join(harness.directory, 'copy');
  writeFileSync(image, new Uint8Array(2 ** 20));
  drives = [`file=${image},format=raw`];
  const elsewhere = await source('elsewhere');
  const there = await harness.destination('there', { drives: own });
  const reply = await move(elsewhere, there.agent.ready.listen);
  expect(reply).toMatchObject({
    status: 'failed',
    'x-sterna': { owner: 'source', error: { code: 'E_DRIVE_LOCKED' } },
  });
  expect(await elsewhere.qmp.execute('query-status')).toMatchObject({ status: 'running' });
  expect(locks()).toHaveLength(1);
});
