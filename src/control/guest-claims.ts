import type { Logger, OwnershipRecord } from '../base/index.ts';
import type { MigrationHost } from './migration/migration-host.ts';
import type { HandOverNote, HandOverNotes } from './state/hand-over-note.ts';

export interface GuestClaimsOptions {
  readonly notes: HandOverNotes;
  readonly host: Pick<MigrationHost, 'claim'>;
  readonly log: Logger;
}

/**
 * A guest that was taken back by an operator's word may be at the destination after all: which is
 * told the later epoch until it has answered, by whichever worker and process there is.
 */
export class GuestClaims {
  private readonly options: GuestClaimsOptions;
  /** The last hand-over. */
  private note: HandOverNote | undefined;

  constructor(options: GuestClaimsOptions) {
    this.options = options;
  }

  /** A hand-over that begins. */
  begin(note: HandOverNote): void {
    this.keep(note);
  }

  /** The destination of the last one is elsewhere now. */
  movedTo(uri: string): void {
    if (this.note !== undefined) this.keep({ ...this.note, uri });
  }

  /** The last one ended before the guest was granted. */
  stayed(): void {
    if (this.note !== undefined) this.forget(this.note.uuid);
  }

  /** The guest of the last one runs here again, in that epoch. */
  taken(claimedEpoch: number): void {
    if (this.note === undefined) return;
    this.keep({ ...this.note, claimedEpoch });
    this.tell();
  }

  /**
   * The guest `uuid` was built anew, in `epoch`. `before`: its record until then. Whoever built it
   * though it may live elsewhere has to say so there, and so has whoever comes after him.
   */
  rebuilt(uuid: string, epoch: number, before: OwnershipRecord | undefined): void {
    const note = this.options.notes.read(uuid);
    if (note === undefined || before === undefined) return;
    const isItsRecord = ['granting', 'granted', 'lost'].includes(before.state);
    const isTaken = isItsRecord && before.migrationId === note.migrationId;
    const isUntold = before.state === 'owner' && note.claimedEpoch !== undefined;
    if (!isTaken && !isUntold) return;
    this.note = note;
    this.taken(epoch);
  }

  /** The destination of that migration knows. */
  answered(migrationId: string): void {
    if (this.note?.migrationId === migrationId) this.forget(this.note.uuid);
  }

  /** Another worker goes on with it. */
  workerDied(): void {
    this.tell();
  }

  private tell(): void {
    const { note } = this;
    if (note?.claimedEpoch === undefined) return;
    this.options.host.claim({ ...note, claimedEpoch: note.claimedEpoch });
  }

  private keep(note: HandOverNote): void {
    this.note = note;
    this.attempt(() => this.options.notes.write(note));
  }

  private forget(uuid: string): void {
    this.note = undefined;
    this.attempt(() => this.options.notes.remove(uuid));
  }

  /** No guest waits for a note: the records decide, and this process knows it anyway. */
  private attempt(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.options.log.warn({ event: 'ownership.note-not-kept', error: String(thrown) });
    }
  }
}
