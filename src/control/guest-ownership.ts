import type { Logger, OwnershipLedger, OwnershipRecord } from '../base/index.ts';
import { SternaError } from '../base/index.ts';
import type { GuestSlot } from './guest-slot.ts';

/** What is decided here about a guest. */
export type OwnedGuest = Pick<GuestSlot, 'isAway' | 'uuid' | 'continue' | 'comeBack'>;

/**
 * Records that this side owns the guest `uuid` that it is about to build. A guest of that uuid that
 * was here before, or left from here, had a lower epoch: whoever still has something of it can tell
 * the two apart.
 */
export async function firstRecord(
  ledger: OwnershipLedger,
  uuid: string,
  log: Logger,
): Promise<void> {
  const known = ledger.read(uuid);
  if (known !== undefined && (known.state === 'granted' || known.state === 'granting')) {
    // The operator gave the uuid: a new guest under it is a choice, but not one to pass over in
    // silence.
    log.warn({ event: 'ownership.uuid-reused', uuid, peer: known.peer, epoch: known.epoch });
  }
  const epoch = (known?.epoch ?? 0) + 1;
  await ledger.write({ uuid, epoch, state: 'owner', migrationId: undefined, peer: undefined });
}

/**
 * `cont`. A guest that was granted away is refused. One of which nobody knows is resumed only when
 * `takeOwnership` says so: an operator has looked, and the destination does not have it. Rejects
 * with E_STATE or E_OWNERSHIP_UNKNOWN.
 */
export async function continueGuest(
  guest: OwnedGuest,
  ledger: OwnershipLedger,
  log: Logger,
  takeOwnership: boolean,
): Promise<void> {
  if (!guest.isAway) return guest.continue();
  const { uuid } = guest;
  const record = uuid === undefined ? undefined : ledger.read(uuid);
  if (record === undefined || record.state !== 'granting') throw granted(record);
  if (!takeOwnership) throw unknown(record);
  // Beyond the epoch that may have been granted: should the destination have it after all, this one
  // is the newer.
  const epoch = record.epoch + 1;
  await ledger.write({ ...record, epoch, state: 'owner' });
  log.warn({ event: 'ownership.taken', uuid: record.uuid, epoch, peer: record.peer });
  guest.comeBack();
}

function granted(record: OwnershipRecord | undefined): SternaError {
  const peer = record?.peer ?? 'the destination';
  return new SternaError('E_STATE', `The guest was given to ${peer} and runs there`, {
    guestOwner: 'destination',
    ...(record === undefined ? {} : { detail: { peer, epoch: record.epoch } }),
  });
}

function unknown(record: OwnershipRecord): SternaError {
  const peer = record.peer ?? 'the destination';
  const text = `Nobody knows whether ${peer} has the guest; ask it, then use x-take-ownership`;
  return new SternaError('E_OWNERSHIP_UNKNOWN', text, {
    guestOwner: 'unknown',
    detail: { peer, epoch: record.epoch },
  });
}
