import { describe, expect, test } from 'vitest';
import {
  type ErrorCode,
  type OwnershipLedger,
  type OwnershipRecord,
  SternaError,
} from '../../../src/base/index.ts';
import { encodeHelloAck, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import {
  EnginePair,
  type PairOptions,
  type PairResult,
  RecordingLedger,
} from '../../support/engine-pair.ts';
import { FAKE_DESCRIPTION } from '../../support/fake-machine.ts';
import { fillGuest } from '../../support/guest-script.ts';

const OTHER_UUID = '11111111-2222-3333-4444-555555555555';

async function migrate(options: PairOptions): Promise<{ pair: EnginePair; result: PairResult }> {
  const pair = new EnginePair({
    link: { bandwidthBytesPerSecond: 100e6 },
    sourceLedger: new RecordingLedger(),
    destinationLedger: new RecordingLedger(),
    ...options,
  });
  fillGuest(pair.machine, 40);
  return { pair, result: await pair.run() };
}

/** The destination refused, its reason reached the source, and no page moved. */
function expectRefused(
  { pair, result }: { pair: EnginePair; result: PairResult },
  code: ErrorCode,
): void {
  for (const side of [result.source, result.destination]) {
    expect(side).toMatchObject({ status: 'failed', error: { code, guestOwner: 'source' } });
  }
  expect(result.source.error).toMatchObject({ side: 'destination', detail: { remote: true } });
  expect(pair.frames['a-to-b']).not.toContain('PAGE_BATCH');
  expect(pair.runningMachines()).toEqual([pair.machine]);
  expect(pair.factory.destroyed).toEqual(pair.factory.created);
}

describe('a destination that refuses', () => {
  test('another uuid, when the source asks for validate-uuid', async () => {
    const options = { expectedUuid: OTHER_UUID, capabilities: { 'validate-uuid': true } };
    const refused = await migrate(options);
    expectRefused(refused, 'E_HANDSHAKE_UUID');
    expect(refused.result.source.error?.detail).toMatchObject({ expectedUuid: OTHER_UUID });
    expect(refused.pair.factory.created).toEqual([]);
  });

  test.each<[string, PairOptions]>([
    [
      'the expected one, in other letters',
      {
        expectedUuid: FAKE_DESCRIPTION.uuid.toUpperCase(),
        capabilities: { 'validate-uuid': true },
      },
    ],
    ['another one when the source does not ask', { expectedUuid: OTHER_UUID }],
    ['any when it expects none', { capabilities: { 'validate-uuid': true } }],
  ])('no uuid: %s', async (_, options) => {
    expect((await migrate(options)).result.source.status).toBe('completed');
  });

  test.each(['E_HANDSHAKE_MACHINE', 'E_HANDSHAKE_RAM_LAYOUT', 'E_BUSY'] as const)(
    'a machine that its factory refuses with %s, before anything is built',
    async (code) => {
      const refused = await migrate({ refusal: { code, message: 'Cannot be built here' } });
      expectRefused(refused, code);
      expect(refused.pair.factory.created).toEqual([]);
      expect((refused.pair.destinationLedger as RecordingLedger).states).toEqual([]);
    },
  );

  test.each(['E_NO_MEMORY', 'E_WORKER_DIED'] as const)(
    'a machine whose building fails with %s',
    async (code) => {
      const buildFailure = new SternaError(code, 'RAM block low cannot be allocated');
      const refused = await migrate({ buildFailure, buildMs: 20 });
      expectRefused(refused, code);
    },
  );

  test('nothing while a large machine takes its time to be built', async () => {
    const { result } = await migrate({ buildMs: 15_000 });
    expect(result.source.status).toBe('completed');
    expect(result.sourceInfo.setupTimeMs).toBeGreaterThan(15_000);
  });

  test('a machine state that it cannot load', async () => {
    const { pair, result } = await migrate({
      destinationHooks: {
        beforeLoad: () => {
          throw new SternaError('E_MACHINE_STATE', 'Section has another version');
        },
      },
    });
    for (const side of [result.source, result.destination]) {
      expect(side).toMatchObject({ error: { code: 'E_MACHINE_STATE', guestOwner: 'source' } });
    }
    expect(pair.runningMachines()).toEqual([pair.machine]);
    expect(pair.factory.destroyed).toEqual(pair.factory.created);
  });

  test.each<[string, OwnershipRecord['state'], number]>([
    ['owned', 'owner', 2],
    ['gave away', 'granted', 2],
    ['may have given away', 'granting', 7],
  ])('a state of the guest that it %s already', async (_, state, epoch) => {
    const destinationLedger = new RecordingLedger();
    const { uuid } = FAKE_DESCRIPTION;
    await destinationLedger.write({ uuid, epoch, state, migrationId: 'm', peer: 'p' });
    const { pair, result } = await migrate({ destinationLedger });
    expectRefused({ pair, result }, 'E_HANDSHAKE_EPOCH');
    // What it knew stands.
    expect(destinationLedger.states).toEqual([`${state} ${epoch}`]);
  });
});

describe('a source that refuses', () => {
  test('a destination without a capability that it needs', async () => {
    const { pair, result } = await migrate({
      capabilities: { xbzrle: true },
      onFrame: (frame, current) => {
        if (frame.name !== 'HELLO') return undefined;
        // In the destination's place: one that knows no capability.
        const answer = encodeHelloAck({
          software: 'older',
          capabilities: [],
          parameters: {},
          receivedPages: 0,
        });
        void current.destinationChannel.send(MESSAGE_TYPES.HELLO_ACK, answer);
        return 'drop';
      },
    });
    expect(result.source).toMatchObject({
      status: 'failed',
      error: { code: 'E_HANDSHAKE_CAPABILITY', guestOwner: 'source', side: 'source' },
    });
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });
});

describe('ledgers that fail', () => {
  test('at preparing: the destination refuses, the guest goes on at the source', async () => {
    const destinationLedger = new RecordingLedger(['preparing']);
    expectRefused(await migrate({ destinationLedger }), 'E_STATE_DIRECTORY');
  });

  test('at owner: the destination abandons the guest, and the source goes on', async () => {
    const destinationLedger = new RecordingLedger(['owner']);
    const { pair, result } = await migrate({ destinationLedger });
    for (const side of [result.source, result.destination]) {
      expect(side).toMatchObject({ error: { code: 'E_STATE_DIRECTORY', guestOwner: 'source' } });
    }
    expect(destinationLedger.states).toEqual(['preparing 2', 'abandoned 2']);
    expect((pair.sourceLedger as RecordingLedger).states).toEqual([
      'owner 1',
      'granting 2',
      'owner 1',
    ]);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('at owner and at abandoned: nobody knows, and nobody runs', async () => {
    const destinationLedger = new RecordingLedger(['owner', 'abandoned']);
    const { pair, result } = await migrate({ destinationLedger });
    expect(result.source).toMatchObject({
      error: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    expect(result.destination).toMatchObject({
      error: { code: 'E_STATE_DIRECTORY', guestOwner: 'unknown' },
    });
    expect(pair.runningMachines()).toEqual([]);
  });

  test('at granting: GRANT is not sent, the guest goes on at the source', async () => {
    const sourceLedger = new RecordingLedger(['granting']);
    const { pair, result } = await migrate({ sourceLedger });
    expect(result.source).toMatchObject({
      error: { code: 'E_STATE_DIRECTORY', guestOwner: 'source' },
    });
    expect(pair.frames['a-to-b']).not.toContain('GRANT');
    expect(pair.runningMachines()).toEqual([pair.machine]);
    expect(result.destination.status).toBe('failed');
  });

  test('at the owner of a guest that comes back, once: it goes on when the disk takes it', async () => {
    const disk = new RecordingLedger();
    let isRefused = false;
    const sourceLedger: OwnershipLedger = {
      read: (uuid) => disk.read(uuid),
      write: async (record) => {
        if (record.state === 'owner' && !isRefused && disk.states.includes('granting 2')) {
          isRefused = true;
          throw new SternaError('E_STATE_DIRECTORY', 'No space left on device');
        }
        await disk.write(record);
      },
    };
    const destinationLedger = new RecordingLedger(['owner']);
    const { pair, result } = await migrate({ sourceLedger, destinationLedger });
    expect(isRefused).toBe(true);
    expect(result.source.error?.guestOwner).toBe('source');
    expect(disk.states).toEqual(['owner 1', 'granting 2', 'owner 1']);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('at granted: the guest is gone all the same', async () => {
    const sourceLedger = new RecordingLedger(['granted']);
    const { pair, result } = await migrate({ sourceLedger });
    expect(result.source.status).toBe('completed');
    expect(sourceLedger.states).toEqual(['owner 1', 'granting 2']);
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });
});
