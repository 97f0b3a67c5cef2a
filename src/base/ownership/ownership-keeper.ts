import {
  isWriting,
  type Ownership,
  type OwnershipEvent,
  ownershipAfterRestart,
  stepOwnership,
} from './ownership-machine.ts';
import type { OwnershipLedger, OwnershipRecord, OwnershipState } from './ownership-record.ts';
import type { OwnershipEffect } from './ownership-rules.ts';

/** Effects that are not the ledger's. */
export type OutwardEffect = Exclude<OwnershipEffect, `record ${OwnershipState}`>;

/** What a keeper needs. */
export interface OwnershipKeeperOptions {
  readonly ledger: OwnershipLedger;
  readonly uuid: string;
  /** For records: the other side. */
  readonly peer: string | undefined;
  /** Where it begins; by default what the record says to a new process. */
  readonly ownership?: Ownership;
  /** Called for each effect in its turn, after the records before it are durable. */
  readonly perform?: (effect: OutwardEffect) => void;
  /** Called around each record: before it is written, and when it is durable. */
  readonly recording?: (when: 'before' | 'after', state: OwnershipState) => void;
}

/** What became of an event. */
export interface OwnershipOutcome {
  /** False: the machine has no rule for it, and nothing happened. */
  readonly accepted: boolean;
  readonly ownership: Ownership;
  readonly effects: readonly OutwardEffect[];
  /** What the disk said, when it refused a record on the way. */
  readonly refusal: unknown;
}

/** Runs the machine of one guest against its ledger: the records, and one event after the other. */
export class OwnershipKeeper {
  private readonly options: OwnershipKeeperOptions;
  private current: Ownership;
  private writing: Promise<unknown> | undefined;

  constructor(options: OwnershipKeeperOptions) {
    this.options = options;
    this.current = options.ownership ?? ownershipAfterRestart(options.ledger.read(options.uuid));
  }

  get ownership(): Ownership {
    return this.current;
  }

  /**
   * Resolves when everything that follows is done and durable. What needs no record is done when
   * this returns: nothing can come between. Never rejects.
   */
  handle(event: OwnershipEvent): Promise<OwnershipOutcome> {
    const { writing } = this;
    const done = writing === undefined ? this.apply(event) : writing.then(() => this.apply(event));
    if (writing === undefined && !isWriting(this.current)) return done;
    const tail = done.then(() => {
      if (this.writing === tail) this.writing = undefined;
    });
    this.writing = tail;
    return done;
  }

  private async apply(event: OwnershipEvent): Promise<OwnershipOutcome> {
    const effects: OutwardEffect[] = [];
    let refusal: unknown;
    let next: OwnershipEvent | undefined = event;
    let accepted = false;
    while (next !== undefined) {
      const step = stepOwnership(this.current, next);
      if (step === undefined) break;
      accepted = true;
      next = undefined;
      this.current = step.ownership;
      for (const effect of step.effects) {
        if (!isRecord(effect)) {
          effects.push(effect);
          this.options.perform?.(effect);
          continue;
        }
        const refused = await this.record(effect);
        refusal ??= refused;
        next = { type: refused === undefined ? 'recorded' : 'refused' };
      }
    }
    return { accepted, ownership: this.current, effects, refusal };
  }

  /** Resolves with what was thrown, if it was. */
  private async record(effect: `record ${OwnershipState}`): Promise<unknown> {
    const { ledger, uuid, peer } = this.options;
    const { epoch, migrationId } = this.current;
    // The rest of the text is a state.
    const state = effect.slice('record '.length) as OwnershipState;
    const { recording } = this.options;
    recording?.('before', state);
    try {
      await ledger.write({ uuid, epoch, state, migrationId, peer });
      recording?.('after', state);
      return undefined;
    } catch (thrown) {
      return this.isUndone(state, epoch) ? undefined : thrown;
    }
  }

  /**
   * A disk that refuses to take the guest back may have refused to give it away as well: then the
   * record before still says what this one was to say.
   */
  private isUndone(state: OwnershipState, epoch: number): boolean {
    if (this.current.phase !== 'taking-back') return false;
    const { ledger, uuid } = this.options;
    let known: OwnershipRecord | undefined;
    try {
      known = ledger.read(uuid);
    } catch {
      // A disk that cannot be read either says nothing.
      return false;
    }
    return known?.state === state && known.epoch === epoch;
  }
}

function isRecord(effect: OwnershipEffect): effect is `record ${OwnershipState}` {
  return effect.startsWith('record ');
}
