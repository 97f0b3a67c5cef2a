import {
  type Clock,
  type GuestOwner,
  type OwnershipLedger,
  type OwnershipRecord,
  SternaError,
  toSternaError,
} from '../base/index.ts';
import type { HelloBody } from '../protocol/index.ts';

/**
 * The destination's half of the hand-over (docs/protocol.md, Ownership): it records that it owns
 * the guest before it runs it, and records that it abandons an epoch that was never granted, so
 * that the source can safely go on.
 */
export class TakeOver {
  private readonly ledger: OwnershipLedger;
  private readonly clock: Clock;
  private readonly peer: string;
  private migration:
    | { readonly uuid: string; readonly epoch: number; readonly migrationId: string }
    | undefined;

  private refusedOwner: GuestOwner = 'unknown';

  constructor(ledger: OwnershipLedger, clock: Clock, peer: string) {
    this.ledger = ledger;
    this.clock = clock;
    this.peer = peer;
  }

  /** The epoch that GRANT must name. */
  get epoch(): number {
    return this.migration?.epoch ?? 0;
  }

  /** Whose the guest is after `own` has failed. */
  get ownerAfterFailure(): GuestOwner {
    return this.refusedOwner;
  }

  /** Refuses a state of the guest that was taken over before: it would run a second time. */
  async prepare(hello: HelloBody): Promise<void> {
    const { uuid } = hello.machine;
    const epoch = hello.guest.epoch + 1;
    const known = this.ledger.read(uuid);
    if (known !== undefined && isStale(known, epoch)) {
      throw new SternaError('E_HANDSHAKE_EPOCH', 'This side has a newer record of that guest', {
        detail: { uuid, epoch, knownEpoch: known.epoch, knownState: known.state },
      });
    }
    this.migration = { uuid, epoch, migrationId: hello.migrationId };
    await this.write('preparing');
  }

  /** Durable when it resolves; only then may the guest run. Resolves to the time that it took. */
  async own(): Promise<number> {
    const startMs = this.clock.nowMs();
    try {
      await this.write('owner');
    } catch (thrown) {
      throw await this.giveUp(
        toSternaError(thrown, 'E_STATE_DIRECTORY', 'Ownership could not be recorded'),
      );
    }
    return this.clock.nowMs() - startMs;
  }

  /** GRANT did not come. Not to be called once `own` was. */
  async abandon(): Promise<void> {
    if (this.migration !== undefined) await this.write('abandoned');
  }

  /**
   * The record failed, and may be on disk all the same: only a later record that says otherwise
   * frees the source.
   */
  private async giveUp(error: SternaError): Promise<SternaError> {
    try {
      await this.write('abandoned');
      this.refusedOwner = 'source';
    } catch {
      this.refusedOwner = 'unknown';
    }
    error.guestOwner = this.refusedOwner;
    return error;
  }

  private async write(state: OwnershipRecord['state']): Promise<void> {
    if (this.migration === undefined) return;
    await this.ledger.write({ ...this.migration, state, peer: this.peer });
  }
}

function isStale(known: OwnershipRecord, epoch: number): boolean {
  // An epoch that was only prepared or abandoned never ran here.
  return (
    (known.state === 'preparing' || known.state === 'abandoned' ? known.epoch - 1 : known.epoch) >=
    epoch
  );
}
