import {
  type Logger,
  type Ownership,
  OwnershipKeeper,
  type OwnershipLedger,
  type OwnershipOutcome,
  type OwnershipRecord,
  ownershipAfterRestart,
  SternaError,
  toSternaError,
} from '../base/index.ts';
import type { GuestSlot } from './guest-slot.ts';

/** What is decided here about a guest. */
export type OwnedGuest = Pick<
  GuestSlot,
  'isAway' | 'isVacant' | 'isTorn' | 'uuid' | 'continue' | 'comeBack'
>;

/** A ledger that knows of which guests it has records. */
export interface ListedLedger extends OwnershipLedger {
  uuids(): readonly string[];
}

/**
 * Records that this side owns the guest `uuid` that it is about to build, at the epoch after the
 * one that it had; resolves with that. Rejects with E_OWNERSHIP_UNKNOWN or E_STATE when by its
 * record the guest may live elsewhere, unless an operator says that it does not.
 */
export async function firstRecord(
  ledger: OwnershipLedger,
  uuid: string,
  log: Logger,
  takeOwnership: boolean,
): Promise<number> {
  const known = ledger.read(uuid);
  const keeper = new OwnershipKeeper({ ledger, uuid, peer: undefined });
  const type = takeOwnership ? 'boot-anyway' : 'boot';
  const outcome = await keeper.handle({ type });
  if (!outcome.accepted) throw notBuilt(known);
  if (outcome.ownership.phase !== 'owner') throw notRecorded(outcome);
  const { epoch } = outcome.ownership;
  if (known !== undefined && known.state !== 'owner') {
    log.warn({ event: 'ownership.taken', uuid, epoch, peer: known.peer, was: known.state });
  }
  return epoch;
}

/**
 * What a process makes of the records of the one before it: guests whose RAM died with it are
 * `lost`, and those that never came are `abandoned`, so that whoever asks is told. `built`: the
 * guest that this process builds again.
 */
export async function settleRecords(
  ledger: ListedLedger,
  built: string | undefined,
  log: Logger,
): Promise<void> {
  for (const uuid of ledger.uuids()) {
    if (uuid !== built?.toLowerCase()) await settleRecord(ledger, uuid, log);
  }
}

/** The RAM of this guest is gone from here, and its record says so from now on. */
export async function settleRecord(
  ledger: OwnershipLedger,
  uuid: string,
  log: Logger,
): Promise<void> {
  const known = ledger.read(uuid);
  const keeper = new OwnershipKeeper({ ledger, uuid, peer: known?.peer });
  const { accepted, ownership, refusal } = await keeper.handle({ type: 'settle' });
  if (refusal !== undefined) throw notRecorded({ refusal });
  if (!accepted) return;
  const { phase, epoch } = ownership;
  log.warn({ event: 'ownership.settled', uuid, epoch, was: known?.state, is: phase });
}

/**
 * `cont`. A guest that is whole elsewhere is refused. One of which nobody knows, whose RAM died at
 * the destination, or of which pages never came there, is resumed only when `takeOwnership` says
 * so: an operator has looked, and the destination does not have it. Rejects with E_STATE or
 * E_OWNERSHIP_UNKNOWN.
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
  if (uuid === undefined || record === undefined || guest.isVacant) throw granted(record);
  if (guest.isTorn) throw torn(record);
  if (!takeOwnership) throw record.state === 'granted' ? granted(record) : unknown(record);
  // Beyond the epoch that may have been granted: should the destination have it after all, this one
  // is the newer.
  const ownership: Ownership = { ...ownershipAfterRestart(record), hasMemory: true };
  const keeper = new OwnershipKeeper({ ledger, uuid, peer: record.peer, ownership });
  // `owner`: an earlier word, which the disk has refused and kept.
  const type = record.state === 'owner' ? 'boot' : 'take-ownership';
  const outcome = await keeper.handle({ type });
  if (!outcome.accepted) throw granted(record);
  if (outcome.ownership.phase !== 'owner') throw notRecorded(outcome);
  log.warn({ event: 'ownership.taken', uuid, epoch: outcome.ownership.epoch, peer: record.peer });
  guest.comeBack();
}

/** By its record this side must not build the guest. */
function notBuilt(record: OwnershipRecord | undefined): SternaError {
  const peer = record?.peer ?? 'another agent';
  const detail = { peer, epoch: record?.epoch, state: record?.state };
  const next = 'ask it, then start this source with --take-ownership';
  if (record?.state === 'granting') {
    const text = `Nobody knows whether ${peer} has the guest of that uuid; ${next}`;
    return new SternaError('E_OWNERSHIP_UNKNOWN', text, { guestOwner: 'unknown', detail });
  }
  const text =
    record?.state === 'lost'
      ? `The guest of that uuid died at epoch ${record.epoch}; start this source with --take-ownership`
      : `The guest of that uuid belongs to ${peer}; ${next}`;
  const guestOwner = record?.state === 'lost' ? 'none' : 'destination';
  return new SternaError('E_STATE', text, { guestOwner, detail });
}

function granted(record: OwnershipRecord | undefined): SternaError {
  const peer = record?.peer ?? 'the destination';
  return new SternaError('E_STATE', `The guest was given to ${peer} and runs there`, {
    guestOwner: 'destination',
    ...(record === undefined ? {} : { detail: { peer, epoch: record.epoch } }),
  });
}

function torn({ peer, epoch }: OwnershipRecord): SternaError {
  const text =
    'The RAM here is of two moments, and cannot run: a point of the journal was not taken over as a whole';
  return new SternaError('E_STATE', text, { guestOwner: 'destination', detail: { peer, epoch } });
}

function unknown(record: OwnershipRecord): SternaError {
  const peer = record.peer ?? 'the destination';
  const isLost = record.state === 'lost';
  const text = isLost
    ? `The guest died at ${peer}; as it was before it left it is here: sterna recover --take-ownership`
    : `Nobody knows whether ${peer} has the guest; ask it, then sterna recover --take-ownership`;
  return new SternaError('E_OWNERSHIP_UNKNOWN', text, {
    guestOwner: isLost ? 'none' : 'unknown',
    detail: { peer, epoch: record.epoch },
  });
}

function notRecorded({ refusal }: Pick<OwnershipOutcome, 'refusal'>): SternaError {
  return toSternaError(refusal, 'E_STATE_DIRECTORY', 'Ownership could not be recorded');
}
