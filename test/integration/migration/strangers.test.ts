import { readFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/base/index.ts';
import { Random } from '../../../src/base/index.ts';
import {
  encodeFrame,
  encodeGrant,
  encodeHello,
  encodeMachineState,
  encodePassBegin,
  encodeStopped,
  encodeSwitchover,
  type HelloBody,
  MESSAGE_TYPES,
  PROTOCOL_VERSION,
} from '../../../src/protocol/index.ts';
import { until } from '../../support/until.ts';
import { type Crossing, CrossingKeeper } from './crossing.ts';
import { HostileClient } from './hostile-client.ts';

/**
 * Whoever reaches a migration port can send bytes to it. It is not crashed, not grown, not kept
 * busy, and runs nothing.
 */

const keeper = new CrossingKeeper();

afterEach(({ task }) => keeper.afterEach(task.result?.state));
afterAll(() => keeper.end());

const MIB = 2 ** 20;
const { HELLO, GRANT, PASS_BEGIN, STOPPED, MACHINE_STATE, SWITCHOVER } = MESSAGE_TYPES;
const STRANGE_UUID = '0f0e0d0c-0000-4000-8000-0000000000bb';

function hello(changes: Partial<HelloBody> = {}): Uint8Array {
  const body: HelloBody = {
    protocol: PROTOCOL_VERSION,
    software: 'stranger',
    role: 'main',
    migrationId: 'strange-migration',
    guest: { epoch: 1 },
    pageBytes: 4096,
    machine: {
      type: 'workload',
      version: 1,
      name: 'strange',
      uuid: STRANGE_UUID,
      vcpuCount: 1,
      ramBlocks: [{ name: 'ram0', bytes: 16 * MIB }],
      config: { workload: 'idle', seed: 1 },
    },
    capabilities: [],
    parameters: {},
    duplex: true,
    ...changes,
  };
  return encodeFrame(HELLO, 0, encodeHello(body));
}

/** The header of a frame whose body would have 4 GiB less one byte, as in the fuzzer's corpus. */
function announces4GiB(): Uint8Array {
  const path = new URL('../../fuzz/protocol/corpus/announces-4-gib.hex', import.meta.url);
  const [hex = ''] = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => /^[0-9a-f]+$/.test(line));
  return Buffer.from(hex, 'hex');
}

function noise(bytes: number): Uint8Array {
  const random = new Random(7);
  return Uint8Array.from({ length: bytes }, () => random.below(256));
}

const ATTACKS: readonly [string, ErrorCode, () => readonly Uint8Array[]][] = [
  ['a frame of 4 GiB', 'E_PROTOCOL_FRAME_TOO_LONG', () => [announces4GiB(), new Uint8Array(MIB)]],
  ['noise', 'E_PROTOCOL_BAD_MAGIC', () => [noise(MIB)]],
  ['zeros', 'E_PROTOCOL_BAD_MAGIC', () => [new Uint8Array(MIB)]],
  [
    'an HTTP request',
    'E_PROTOCOL_BAD_MAGIC',
    () => [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n')],
  ],
  ['noise in HELLO', 'E_PROTOCOL_BAD_BODY', () => [encodeFrame(HELLO, 0, noise(1000))]],
  [
    'HELLO twice',
    'E_PROTOCOL_UNEXPECTED_MESSAGE',
    () => [hello(), encodeFrame(HELLO, 1, noise(9))],
  ],
  [
    'GRANT without a guest',
    'E_PROTOCOL_UNEXPECTED_MESSAGE',
    () => [encodeFrame(GRANT, 0, encodeGrant({ epoch: 2 }))],
  ],
  [
    'GRANT before any page',
    'E_PROTOCOL_UNEXPECTED_MESSAGE',
    () => [hello(), encodeFrame(GRANT, 1, encodeGrant({ epoch: 2 }))],
  ],
];

describe('a stranger at the migration port', () => {
  async function expectUnharmed({ there }: Crossing): Promise<void> {
    expect(await there.isRunning()).toBe(false);
    expect((await there.runState()).status).toMatch(/^(inmigrate|postmigrate)$/);
  }

  it.each(ATTACKS)('who sends %s is told %s and sent away', async (_what, code, pieces) => {
    const crossing = await keeper.get();
    const before = residentBytes(crossing.there.agent.pid);
    const client = await HostileClient.connect(await crossing.uri());
    client.send(...pieces());
    await client.closed();
    expect(client.heard.filter((name) => name !== 'HELLO_ACK')).toEqual(['ERROR']);
    expect(client.refusal).toBe(code);
    await expectUnharmed(crossing);
    // A 16 MiB guest may have been built for him; nothing of what he announced was.
    expect(residentBytes(crossing.there.agent.pid)).toBeLessThan(before + 64 * MIB);
    await crossing.succeeds();
  });

  it('who claims that all pages have come without sending one runs nothing', async () => {
    const crossing = await keeper.get();
    const client = await HostileClient.connect(await crossing.uri());
    client.send(hello());
    await until('HELLO_ACK', () => client.heard.includes('HELLO_ACK') || undefined);
    const stopped = { pass: 1, lastStepMs: [0], pausedAtMs: 0 };
    const switchover = { pages: 4096, batches: 0, strictVerify: false, paused: false };
    client.send(
      encodeFrame(STOPPED, 1, encodeStopped(stopped)),
      encodeFrame(PASS_BEGIN, 2, encodePassBegin({ pass: 1, dirtyPages: 0 })),
      encodeFrame(MACHINE_STATE, 3, encodeMachineState({ sections: [] })),
      encodeFrame(SWITCHOVER, 4, encodeSwitchover(switchover)),
    );
    await client.closed();
    expect(client.refusal).toBe('E_PAGE_MISSING');
    await expectUnharmed(crossing);
    await crossing.succeeds();
  });

  it('who says nothing keeps no guest out, and is sent away within x-stall-timeout', async () => {
    const crossing = await keeper.get();
    await crossing.there.set({ 'x-stall-timeout': 500 });
    const uri = await crossing.uri();
    const silent = await Promise.all(Array.from({ length: 6 }, () => HostileClient.connect(uri)));
    const halfway = await HostileClient.connect(uri);
    halfway.send(hello().subarray(0, 40));
    // All eight connections that a port takes are in use with this one.
    const { here } = crossing;
    await here.migrate(uri);
    await here.proven();
    await Promise.all([...silent, halfway].map((client) => client.closed()));
    await here.set({ 'x-stall-timeout': 10_000 });
    await crossing.there.set({ 'x-stall-timeout': 10_000 });
    await crossing.there.checkGuest();
    crossing.turn();
    await crossing.succeeds();
  });

  it('who says HELLO and then nothing keeps the place for as long as a source may be silent', async () => {
    const crossing = await keeper.get();
    const uri = await crossing.uri();
    const client = await HostileClient.connect(uri);
    client.send(hello({ parameters: { 'x-stall-timeout': 700 } }));
    await until('HELLO_ACK', () => client.heard.includes('HELLO_ACK') || undefined);
    await crossing.fails({ source: ['E_BUSY'] }, uri);
    await client.closed();
    expect(client.refusal).toBe('E_CHANNEL_TIMEOUT');
    await expectUnharmed(crossing);
    await crossing.succeeds();
  });

  it('who opens many connections is sent away, and a guest comes in when they are gone', async () => {
    const crossing = await keeper.get();
    const uri = await crossing.uri();
    const clients = await Promise.all(Array.from({ length: 40 }, () => HostileClient.connect(uri)));
    for (const client of clients) client.send(noise(64));
    await Promise.all(clients.map((client) => client.closed()));
    await expectUnharmed(crossing);
    await crossing.succeeds();
  });
});

/** From /proc; 0 where there is none, and then nothing is asserted that is not true. */
function residentBytes(pid: number): number {
  try {
    const [, kib = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib) * 1024;
  } catch {
    return 0;
  }
}
