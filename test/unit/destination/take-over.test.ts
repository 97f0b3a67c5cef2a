import { describe, expect, test } from 'vitest';
import { type OwnershipState, SimClock, SternaError } from '../../../src/base/index.ts';
import { TakeOver } from '../../../src/destination/ownership/take-over.ts';
import type { HelloBody } from '../../../src/protocol/index.ts';
import { RecordingLedger } from '../../support/engine-pair.ts';
import { FAKE_DESCRIPTION } from '../../support/fake-machine.ts';

const { uuid } = FAKE_DESCRIPTION;

function helloOf(epoch: number): HelloBody {
  return {
    protocol: 1,
    software: 'test',
    role: 'main',
    migrationId: 'm-1',
    guest: { epoch },
    pageBytes: 4096,
    machine: FAKE_DESCRIPTION,
    capabilities: [],
    parameters: {},
    duplex: true,
  };
}

function takeOver(ledger: RecordingLedger): TakeOver {
  return new TakeOver(ledger, new SimClock(), 'tcp:peer');
}

async function failureOf(work: Promise<unknown>): Promise<SternaError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(SternaError);
  return thrown as SternaError;
}

describe('TakeOver', () => {
  test('prepare(), own() record the epoch after that of the source', async () => {
    const ledger = new RecordingLedger();
    const taking = takeOver(ledger);
    expect(taking.epoch).toBe(0);
    await taking.prepare(helloOf(4));
    expect(taking.epoch).toBe(5);
    await taking.own();
    expect(ledger.states).toEqual(['preparing 5', 'owner 5']);
    expect(ledger.written[1]).toEqual({
      uuid,
      epoch: 5,
      state: 'owner',
      migrationId: 'm-1',
      peer: 'tcp:peer',
    });
  });

  test.each<[OwnershipState, number, 'refused' | 'accepted']>([
    ['owner', 5, 'refused'],
    ['owner', 6, 'refused'],
    ['owner', 4, 'accepted'],
    ['granting', 5, 'refused'],
    ['granted', 5, 'refused'],
    ['granted', 4, 'accepted'],
    ['preparing', 5, 'accepted'],
    ['preparing', 6, 'refused'],
    ['abandoned', 5, 'accepted'],
    ['abandoned', 6, 'refused'],
  ])('prepare() with a record %s %i: epoch 5 is %s', async (state, epoch, expected) => {
    const ledger = new RecordingLedger();
    await ledger.write({ uuid, epoch, state, migrationId: 'old', peer: 'x' });
    const work = takeOver(ledger).prepare(helloOf(4));
    if (expected === 'accepted') return await expect(work).resolves.toBeUndefined();
    const error = await failureOf(work);
    expect(error.code).toBe('E_HANDSHAKE_EPOCH');
    expect(error.detail).toMatchObject({ epoch: 5, knownEpoch: epoch, knownState: state });
    expect(ledger.written).toHaveLength(1);
  });

  test('prepare() asks for the record of that guest only', async () => {
    const ledger = new RecordingLedger();
    const other = '00000000-0000-0000-0000-000000000001';
    await ledger.write({ uuid: other, epoch: 9, state: 'owner', migrationId: 'o', peer: 'x' });
    await takeOver(ledger).prepare(helloOf(1));
    expect(ledger.states.at(-1)).toBe('preparing 2');
  });

  test('abandon() records it, and nothing when nothing was prepared', async () => {
    const ledger = new RecordingLedger();
    await takeOver(ledger).abandon();
    expect(ledger.states).toEqual([]);
    const taking = takeOver(ledger);
    await taking.prepare(helloOf(1));
    await taking.abandon();
    expect(ledger.states).toEqual(['preparing 2', 'abandoned 2']);
    // The next attempt is for the same epoch.
    await takeOver(ledger).prepare(helloOf(1));
    expect(ledger.states.at(-1)).toBe('preparing 2');
  });

  test('own() that fails leaves the guest with the source, on record', async () => {
    const ledger = new RecordingLedger(['owner']);
    const taking = takeOver(ledger);
    await taking.prepare(helloOf(1));
    const error = await failureOf(taking.own());
    expect([error.code, error.guestOwner]).toEqual(['E_STATE_DIRECTORY', 'source']);
    expect(ledger.states).toEqual(['preparing 2', 'abandoned 2']);
  });

  test('own() that cannot even be taken back leaves the owner unknown', async () => {
    const taking = takeOver(new RecordingLedger(['owner', 'abandoned']));
    await taking.prepare(helloOf(1));
    const error = await failureOf(taking.own());
    expect([error.code, error.guestOwner]).toEqual(['E_STATE_DIRECTORY', 'unknown']);
  });

  test('answer() abandons before it says so, and a GRANT that comes later is refused', async () => {
    const ledger = new RecordingLedger();
    const taking = takeOver(ledger);
    await taking.prepare(helloOf(1));
    const question = { epoch: 2, migrationId: 'm-1' };
    expect(await taking.answer(question)).toBe('abandoned');
    expect(ledger.states).toEqual(['preparing 2', 'abandoned 2']);
    const error = await failureOf(taking.own());
    expect([error.code, error.guestOwner]).toEqual(['E_HANDSHAKE_EPOCH', 'source']);
    expect(ledger.states).toEqual(['preparing 2', 'abandoned 2']);
  });

  test('answer() waits for the record that is being written, and says who owns the guest', async () => {
    const taking = takeOver(new RecordingLedger());
    await taking.prepare(helloOf(1));
    const owning = taking.own();
    expect(await taking.answer({ epoch: 2, migrationId: 'm-1' })).toBe('owner');
    await owning;
    expect(await taking.answer({ epoch: 1, migrationId: 'm-0' })).toBe('moved');
    expect(await taking.answer({ epoch: 3, migrationId: 'm-1' })).toBe('none');
  });

  test('answer() says nothing while no record of the refused ownership can be taken back', async () => {
    const failing: OwnershipState[] = ['owner', 'abandoned'];
    const taking = takeOver(new RecordingLedger(failing));
    await taking.prepare(helloOf(1));
    await failureOf(taking.own());
    expect(await taking.answer({ epoch: 2, migrationId: 'm-1' })).toBe(undefined);
    failing.length = 0;
    expect(await taking.answer({ epoch: 2, migrationId: 'm-1' })).toBe('abandoned');
  });
});
