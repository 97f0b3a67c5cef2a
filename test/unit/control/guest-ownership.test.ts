import { describe, expect, it } from 'vitest';
import { type OwnershipRecord, silentLogger, volatileLedger } from '../../../src/base/index.ts';
import { continueGuest, firstRecord, settleRecords } from '../../../src/control/guest-ownership.ts';

const UUID = '0f0e0d0c-0000-4000-8000-00000000000b';
const log = silentLogger();

function record(state: OwnershipRecord['state'], epoch: number): OwnershipRecord {
  return { uuid: UUID, epoch, state, migrationId: 'm', peer: 'tcp:h:1' };
}

function guestThatIs(isAway: boolean, more: { isVacant?: boolean; isTorn?: boolean } = {}) {
  const calls: string[] = [];
  const guest = {
    ...{ isAway, isVacant: false, isTorn: false, ...more },
    uuid: UUID,
    continue: () => calls.push('continue'),
    comeBack: () => calls.push('come-back'),
  };
  return { guest, calls };
}

describe('firstRecord()', () => {
  it('begins at epoch 1 when the guest is new', async () => {
    const ledger = volatileLedger();
    await firstRecord(ledger, UUID, log, false);
    expect(ledger.read(UUID)).toMatchObject({ epoch: 1, state: 'owner' });
  });

  it('goes on beyond the known epoch when the guest was here before', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('owner', 5));
    await firstRecord(ledger, UUID, log, false);
    expect(ledger.read(UUID)).toMatchObject({ epoch: 6, state: 'owner' });
  });

  it.each([
    ['granting', 'E_OWNERSHIP_UNKNOWN', 'unknown'],
    ['granted', 'E_STATE', 'destination'],
    ['preparing', 'E_STATE', 'destination'],
    ['abandoned', 'E_STATE', 'destination'],
    ['lost', 'E_STATE', 'none'],
  ] as const)('refuses when the record says %s, until an operator decides', async (...row) => {
    const [state, code, guestOwner] = row;
    const ledger = volatileLedger();
    await ledger.write(record(state, 5));
    const refused = firstRecord(ledger, UUID, log, false);
    await expect(refused).rejects.toMatchObject({ code, guestOwner });
    await expect(refused).rejects.toThrow('--take-ownership');
    expect(ledger.read(UUID)).toEqual(record(state, 5));
    await firstRecord(ledger, UUID, log, true);
    expect(ledger.read(UUID)).toMatchObject({ epoch: 6, state: 'owner' });
  });
});

describe('settleRecords()', () => {
  it('says what became of the guests of the process before this one', async () => {
    const states = ['owner', 'preparing', 'granting', 'granted', 'abandoned', 'lost'] as const;
    const ledger = volatileLedger();
    const uuids = [...states.map((state) => `${state}-0000`), 'built-0000'];
    for (const [index, state] of [...states, 'owner' as const].entries()) {
      await ledger.write({ ...record(state, 5), uuid: uuids[index] ?? '' });
    }
    await settleRecords({ ...ledger, uuids: () => uuids }, 'BUILT-0000', log);
    const now = uuids.map((uuid) => ledger.read(uuid)?.state);
    expect(now).toEqual(['lost', 'abandoned', 'granting', 'granted', 'abandoned', 'lost', 'owner']);
  });

  it('rejects when the disk refuses', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('owner', 5));
    const write = () => Promise.reject(new Error('disk full'));
    await expect(
      settleRecords({ ...ledger, write, uuids: () => [UUID] }, undefined, log),
    ).rejects.toMatchObject({ code: 'E_STATE_DIRECTORY' });
  });
});

describe('continueGuest()', () => {
  it('lets the guest go on when it is here', async () => {
    const { guest, calls } = guestThatIs(false);
    await continueGuest(guest, volatileLedger(), log, false);
    expect(calls).toEqual(['continue']);
  });

  it.each(['granted', 'granting'] as const)(
    'refuses when the guest is whole elsewhere (%s), whatever the operator says',
    async (state) => {
      const ledger = volatileLedger();
      await ledger.write(record(state, 2));
      for (const takeOwnership of [false, true]) {
        const { guest, calls } = guestThatIs(true, { isVacant: true });
        await expect(continueGuest(guest, ledger, log, takeOwnership)).rejects.toMatchObject({
          code: 'E_STATE',
          guestOwner: 'destination',
          message: expect.stringContaining('tcp:h:1'),
        });
        expect(calls).toEqual([]);
      }
    },
  );

  it('takes a guest back that was granted and is not whole there, when the operator decides', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('granted', 2));
    const { guest, calls } = guestThatIs(true);
    await expect(continueGuest(guest, ledger, log, false)).rejects.toMatchObject({
      code: 'E_STATE',
      guestOwner: 'destination',
    });
    const full = { ...ledger, write: () => Promise.reject(new Error('disk full')) };
    await expect(continueGuest(guest, full, log, true)).rejects.toMatchObject({
      code: 'E_STATE_DIRECTORY',
    });
    expect(calls).toEqual([]);
    await continueGuest(guest, ledger, log, true);
    expect(calls).toEqual(['come-back']);
    expect(ledger.read(UUID)).toMatchObject({ state: 'owner', epoch: 3 });
  });

  it('takes it back also when the disk has refused that before and kept it', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('owner', 3));
    const { guest, calls } = guestThatIs(true);
    await expect(continueGuest(guest, ledger, log, false)).rejects.toThrow('ask it');
    await continueGuest(guest, ledger, log, true);
    expect(calls).toEqual(['come-back']);
    expect(ledger.read(UUID)).toMatchObject({ state: 'owner', epoch: 4 });
  });

  it('refuses RAM of two moments, whatever the operator says', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('granted', 2));
    const { guest, calls } = guestThatIs(true, { isTorn: true });
    for (const takeOwnership of [false, true]) {
      await expect(continueGuest(guest, ledger, log, takeOwnership)).rejects.toMatchObject({
        code: 'E_STATE',
        message: expect.stringContaining('of two moments'),
      });
    }
    expect(calls).toEqual([]);
  });

  it('refuses when nobody knows, and takes the guest back when the operator decides', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('granting', 2));
    const { guest, calls } = guestThatIs(true);
    await expect(continueGuest(guest, ledger, log, false)).rejects.toMatchObject({
      code: 'E_OWNERSHIP_UNKNOWN',
      guestOwner: 'unknown',
    });
    expect(calls).toEqual([]);
    await continueGuest(guest, ledger, log, true);
    expect(calls).toEqual(['come-back']);
    expect(ledger.read(UUID)).toMatchObject({ state: 'owner', epoch: 3 });
  });

  it('takes the guest back from where it died, when the operator decides', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('lost', 2));
    const { guest, calls } = guestThatIs(true);
    await expect(continueGuest(guest, ledger, log, false)).rejects.toMatchObject({
      code: 'E_OWNERSHIP_UNKNOWN',
      guestOwner: 'none',
    });
    await continueGuest(guest, ledger, log, true);
    expect(calls).toEqual(['come-back']);
    expect(ledger.read(UUID)).toMatchObject({ state: 'owner', epoch: 3, peer: 'tcp:h:1' });
  });

  it('does not run the guest when the decision cannot be recorded', async () => {
    const ledger = volatileLedger();
    await ledger.write(record('granting', 2));
    const { guest, calls } = guestThatIs(true);
    const broken = { ...ledger, write: () => Promise.reject(new Error('disk full')) };
    await expect(continueGuest(guest, broken, log, true)).rejects.toMatchObject({
      code: 'E_STATE_DIRECTORY',
      detail: { cause: 'disk full' },
    });
    expect(calls).toEqual([]);
  });
});
