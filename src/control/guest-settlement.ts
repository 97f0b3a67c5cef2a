import {
  errorReport,
  isOver,
  isPostcopy,
  type Logger,
  type MigrationInfo,
  type OwnershipLedger,
  SternaError,
} from '../base/index.ts';
import { settleRecord } from './guest-ownership.ts';
import type { GuestSlot } from './guest-slot.ts';

export interface GuestSettlementOptions {
  readonly guests: GuestSlot;
  readonly ledger: OwnershipLedger;
  readonly log: Logger;
}

/**
 * What becomes of the guest when a migration is over, or when the worker that had it in hand has
 * died. The ledger decides, never the moment.
 */
export class GuestSettlement {
  private readonly options: GuestSettlementOptions;

  constructor(options: GuestSettlementOptions) {
    this.options = options;
  }

  /**
   * At once, not when the worker is through: pages or the proof may still follow, and `cont` must
   * give the right answer.
   */
  departing({ status, owner }: MigrationInfo): void {
    const { guests } = this.options;
    const isHere = isOver(status) && owner === 'source';
    if (status === 'completed') guests.leave(true);
    else if (isHere) guests.stay();
    // Until then the RAM here is the only one that is whole, whoever has the guest.
    else if (isPostcopy(status) || isOver(status)) guests.leave(false);
  }

  /** Is the guest still ours? The engine has decided, and the ledger has it. */
  afterDeparture(info: MigrationInfo | undefined): void {
    const { guests } = this.options;
    if (this.isGivenAway(info)) {
      guests.leave(info?.status === 'completed');
    } else if (guests.runState === 'finish-migrate') {
      // The engine could not let it go on: its worker died, or the disk is full. By the record it
      // is still ours.
      guests.need().resume('ownership');
      guests.noteResumed('ownership');
      guests.need().resume('migration');
      guests.noteResumed('migration');
    }
  }

  /** Why a migration out of here failed with its worker, and who owns the guest now. */
  departureDied(info: MigrationInfo | undefined, cause: SternaError): SternaError {
    const { guests, ledger } = this.options;
    const record = ledger.read(guests.need().description.uuid);
    const granted = record?.state === 'granting' || record?.state === 'granted';
    let error = cause;
    if (isPostcopy(info?.status) && info?.owner === 'destination')
      error = stranded(info, record?.peer, guests.isTorn, cause);
    else if (granted) error = inDoubt(record, cause);
    error.side = 'source';
    error.guestOwner ??= 'source';
    return error;
  }

  /** Why a migration into here failed with its worker, and who owns the guest now. */
  async arrivalDied(info: MigrationInfo | undefined, cause: SternaError): Promise<SternaError> {
    const { guests, ledger } = this.options;
    const { uuid } = guests;
    const record = uuid === undefined ? undefined : ledger.read(uuid);
    cause.side = 'destination';
    if (isPostcopy(info?.status)) return this.arrivalDiedInPostcopy(cause);
    if (guests.isArriving && record?.state === 'owner') {
      // It was granted, and recorded: the source will not run it any more, so this side has to.
      guests.need().resume('ownership');
      guests.noteResumed('ownership');
      cause.guestOwner = 'destination';
    } else {
      await guests.discard();
      cause.guestOwner = 'source';
    }
    return cause;
  }

  /**
   * The received map lives with the RAM, but what is on the wire does not. With pages missing the
   * guest can never go on; then it ends before the record says so, and the source is told.
   */
  private async arrivalDiedInPostcopy(cause: SternaError): Promise<SternaError> {
    const { guests, ledger, log } = this.options;
    const machine = guests.need();
    const { uuid } = machine.description;
    const missingPages = guests.missingPages;
    if (missingPages === 0) {
      machine.setPostcopy(false);
      machine.faults.wake();
      // It may have died in the middle of a point of the journal, of which there are no more.
      machine.resume('checkpoint');
      cause.guestOwner = 'destination';
      return cause;
    }
    await guests.lose();
    await settleRecord(ledger, uuid, log);
    return new SternaError('E_GUEST_LOST', 'Migration worker died while pages were missing', {
      cause,
      side: 'destination',
      guestOwner: 'none',
      detail: { missingPages },
    });
  }

  private isGivenAway(info: MigrationInfo | undefined): boolean {
    const { guests, ledger, log } = this.options;
    const { uuid } = guests;
    try {
      const state = uuid === undefined ? undefined : ledger.read(uuid)?.state;
      return state === 'granted' || state === 'granting' || state === 'lost';
    } catch (thrown) {
      // The disk is gone. The engine knows whether it has sent GRANT, and nobody else could have.
      log.error({ event: 'ownership.read-failed', error: String(thrown) });
      return info?.side === 'source' && info.owner !== 'source';
    }
  }
}

/** The same migration, ended by `error`; what was counted stays. */
export function failedInfo(info: MigrationInfo, error: SternaError): MigrationInfo {
  const owner = error.guestOwner ?? info.owner;
  return { ...info, status: 'failed', owner, error: errorReport(error) };
}

function inDoubt(
  record: { readonly peer: string | undefined; readonly epoch: number } | undefined,
  cause: SternaError,
): SternaError {
  return new SternaError(
    'E_OWNERSHIP_UNKNOWN',
    'Migration worker died while the guest was handed over',
    { cause, guestOwner: 'unknown', detail: { peer: record?.peer, epoch: record?.epoch } },
  );
}

function stranded(
  info: MigrationInfo | undefined,
  peer: string | undefined,
  isTorn: boolean,
  cause: SternaError,
): SternaError {
  const text = isTorn
    ? 'Migration worker died in post-copy while it took over a point of the journal'
    : 'Migration worker died in post-copy; the guest waits for pages that it had to send';
  const missingPages = info?.postcopy?.remainingPages;
  return new SternaError('E_WORKER_DIED', text, {
    cause,
    guestOwner: 'destination',
    detail: { peer, epoch: info?.epoch, missingPages },
  });
}
