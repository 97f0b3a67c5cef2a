import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  defaultCapabilities,
  defaultParameters,
  type MigrationInfo,
  type MigrationParameters,
  SternaError,
  silentLogger,
  systemClock,
} from '../../../src/base/index.ts';
import { type Channel, createFileChannel, openFileChannel } from '../../../src/channel/index.ts';
import { IncomingMigration, type IncomingOutcome } from '../../../src/destination/index.ts';
import { dumpStream } from '../../../src/protocol/index.ts';
import { type MigrationOutcome, OutgoingMigration } from '../../../src/source/index.ts';
import { RecordingLedger } from '../../support/engine-pair.ts';
import { FakeFactory, FakeMachine, ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, fillGuest } from '../../support/guest-script.ts';

const clock = systemClock();
let folder = '';
let path = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sterna-file-'));
  path = join(folder, 'guest.sterna');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

interface Saved {
  readonly machine: FakeMachine;
  readonly ledger: RecordingLedger;
  readonly outcome: MigrationOutcome;
  readonly info: MigrationInfo;
}

async function save(
  parameters: Partial<MigrationParameters> = {},
  wrapped: (channel: Channel) => Channel = (channel) => channel,
): Promise<Saved> {
  const machine = new FakeMachine(clock, {
    beforePause: (guest) => dirtySparsely(guest, 1),
  });
  fillGuest(machine);
  const ledger = new RecordingLedger();
  const outgoing = new OutgoingMigration({
    machine,
    channel: wrapped(await createFileChannel(path, clock)),
    clock,
    ledger,
    log: silentLogger(),
    migrationId: 'file-1',
    peer: `file:${path}`,
    parameters: {
      ...defaultParameters(),
      maxBandwidthBytesPerSecond: 0,
      mode: 'stop',
      ...parameters,
    },
    capabilities: defaultCapabilities(),
    observer: { info: () => {} },
  });
  return { machine, ledger, outcome: await outgoing.run(), info: outgoing.info() };
}

interface Loaded {
  readonly factory: FakeFactory;
  readonly outcome: IncomingOutcome;
  readonly info: MigrationInfo;
}

/** `buildMs`: what follows HELLO in the file is there at once, but the machine is not. */
async function load(ledger = new RecordingLedger(), buildMs = 30): Promise<Loaded> {
  const factory = new FakeFactory(clock, { buildMs });
  const incoming = new IncomingMigration({
    channel: await openFileChannel(path, clock),
    clock,
    ledger,
    log: silentLogger(),
    factory,
    expectedUuid: undefined,
    startPaused: false,
    stallTimeoutMs: 1000,
    observer: { info: () => {} },
  });
  return { factory, outcome: await incoming.run(), info: incoming.info() };
}

describe('a guest in a file', () => {
  test.each(['stop', 'precopy'] as const)('run() to a file and from it, mode %s', async (mode) => {
    const saved = await save({ mode });
    expect(saved.outcome).toEqual({ status: 'completed', error: undefined });
    expect(saved.info.ram.transferredBytes).toBe((await stat(path)).size);
    expect(await readdir(folder)).toEqual(['guest.sterna']);
    expect([...saved.machine.reasons].sort()).toEqual(['migration', 'ownership']);
    expect(saved.ledger.states).toEqual(['granting 2', 'granted 2']);

    const loaded = await load();
    expect(loaded.outcome.status).toBe('completed');
    const [machine] = loaded.factory.created;
    expect(ramDifferences(saved.machine.memory, machine!.memory)).toEqual([]);
    expect(machine!.isRunning).toBe(true);
    expect(machine!.loaded?.sections).toHaveLength(1);
    expect(loaded.info.verify).toMatchObject({ status: 'identical', pages: 4096 });
  });

  test('run() writes a stream that the dump reads to its end', async () => {
    const saved = await save();
    const chunks = [await readFile(path)];
    const summary = await dumpStream(chunks, () => {}, { strict: true });
    expect(summary.problems).toEqual([]);
    expect(summary.messages).toMatchObject({ HELLO: 1, STOPPED: 1, SWITCHOVER: 1, GRANT: 1 });
    expect(summary.messages.PING).toBeUndefined();
    expect([summary.rawPages, summary.zeroPages]).toEqual([
      saved.info.pageKinds.raw.pages,
      saved.info.pageKinds.zero.pages,
    ]);
  });

  test('run() from a file takes a guest over once', async () => {
    await save();
    const ledger = new RecordingLedger();
    expect((await load(ledger)).outcome.status).toBe('completed');
    const again = await load(ledger);
    expect(again.outcome).toMatchObject({ status: 'failed', error: { code: 'E_HANDSHAKE_EPOCH' } });
    expect(ledger.states).toEqual(['preparing 2', 'owner 2']);
  });

  test('run() from a file that was cut runs no guest', async () => {
    await save();
    const { size } = await stat(path);
    for (const keptBytes of [size - 10, Math.floor(size / 2), 20]) {
      await truncate(path, keptBytes);
      const { outcome, factory } = await load();
      expect(outcome).toMatchObject({
        status: 'failed',
        error: { code: 'E_PROTOCOL_TRUNCATED' },
      });
      expect(factory.destroyed).toEqual(factory.created);
    }
  });

  test('run() from a file with a flipped bit runs no guest', async () => {
    await save();
    const bytes = await readFile(path);
    bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
    await writeFile(path, bytes);
    const { outcome, factory } = await load();
    expect(outcome.status).toBe('failed');
    expect(factory.destroyed).toEqual(factory.created);
  });
});

test('a file that may lie there after all leaves the owner unknown, and the guest paused', async () => {
  const failing = (channel: Channel): Channel =>
    new Proxy(channel, {
      get: (target, name) => {
        if (name === 'end') {
          return () =>
            Promise.reject(
              new SternaError('E_FILE', 'Cannot take it away', { guestOwner: 'unknown' }),
            );
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const { machine, ledger, outcome, info } = await save({}, failing);
  expect(outcome.error).toMatchObject({ code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' });
  expect(info.owner).toBe('unknown');
  expect(machine.pauseReasons()).toContain('ownership');
  expect(ledger.states).toEqual(['granting 2']);
});
