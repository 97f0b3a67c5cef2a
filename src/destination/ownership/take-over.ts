import {
  type Clock,
  type GuestOwner,
  type OwnershipAnswer,
  OwnershipKeeper,
  type OwnershipLedger,
  type OwnershipOutcome,
  type OwnershipQuestion,
  type ReachFault,
  SternaError,
  toSternaError,
} from '../../base/index.ts';
import type { HelloBody } from '../../protocol/index.ts';

/**
 * The destination's half of the hand-over (docs/guest-ownership.md): it records that it owns the
 * guest before it runs it, and records that it abandons an epoch that was never granted, so that
 * the source can safely go on. `OWNERSHIP_RULES` decides; this class carries it out.
 */
export class TakeOver {
  private readonly ledger: OwnershipLedger;
  private readonly clock: Clock;
  private readonly peer: string;
  private readonly reached: ReachFault;
  private readonly yielded: () => void;
  private keeper: OwnershipKeeper | undefined;
  private migration: { readonly epoch: number; readonly migrationId: string } | undefined;

  /** `yielded`: an operator has the guest run at the source, and it must stand still here. */
  constructor(
    ledger: OwnershipLedger,
    clock: Clock,
    peer: string,
    reached: ReachFault = () => {},
    yielded: () => void = () => {},
  ) {
    this.ledger = ledger;
    this.clock = clock;
    this.peer = peer;
    this.reached = reached;
    this.yielded = yielded;
  }

  /** The epoch that GRANT must name. */
  get epoch(): number {
    return this.migration?.epoch ?? 0;
  }

  /** Whose the guest is after `own` has failed. */
  get ownerAfterFailure(): GuestOwner {
    const { phase } = this.keeper?.ownership ?? {};
    return phase === 'abandoned' || phase === 'granted' ? 'source' : 'unknown';
  }

  /** Refuses a state of the guest that was taken over before: it would run a second time. */
  async prepare(hello: HelloBody): Promise<void> {
    const { ledger, peer } = this;
    const { uuid } = hello.machine;
    const migration = { epoch: hello.guest.epoch + 1, migrationId: hello.migrationId };
    const known = ledger.read(uuid);
    const keeper = new OwnershipKeeper({
      ledger,
      uuid,
      peer,
      perform: (effect) => {
        if (effect === 'pause') this.yielded();
      },
      recording: (when, state) => {
        if (state === 'preparing') this.reached(`destination.${when}-preparing`);
        else if (state === 'owner') this.reached(`destination.${when}-owner-recorded`);
        else if (state === 'abandoned') this.reached(`destination.${when}-abandoned-recorded`);
      },
    });
    const { accepted, refusal } = await keeper.handle({ type: 'hello', ...migration });
    if (!accepted) {
      throw new SternaError('E_HANDSHAKE_EPOCH', 'This side has a newer record of that guest', {
        detail: {
          uuid,
          epoch: migration.epoch,
          knownEpoch: known?.epoch,
          knownState: known?.state,
        },
      });
    }
    this.migration = migration;
    this.keeper = keeper;
    if (refusal !== undefined) throw notRecorded(refusal);
  }

  /** Durable when it resolves; only then may the guest run. Resolves to the time that it took. */
  async own(): Promise<number> {
    const startMs = this.clock.nowMs();
    this.reached('destination.grant-received');
    const { keeper, migration } = this;
    const outcome = migration && (await keeper?.handle({ type: 'grant', ...migration }));
    if (outcome?.ownership.phase !== 'owner') throw this.notOwned(outcome?.refusal);
    return this.clock.nowMs() - startMs;
  }

  /** GRANT did not come. Not to be called once `own` was. */
  async abandon(): Promise<void> {
    const outcome = await this.keeper?.handle({ type: 'failed' });
    if (outcome?.refusal !== undefined) throw notRecorded(outcome.refusal);
  }

  /**
   * The source asks on another connection. What is answered is durable, and holds for a GRANT that
   * is still under way here. Undefined when no answer can be given now; it may ask again.
   */
  async answer(question: OwnershipQuestion): Promise<OwnershipAnswer | undefined> {
    return answerOf(await this.keeper?.handle({ type: 'asked', ...question }));
  }

  private notOwned(refusal: unknown): SternaError {
    const text = 'GRANT came after this side had abandoned the guest';
    const error =
      refusal === undefined
        ? new SternaError('E_HANDSHAKE_EPOCH', text, { detail: { epoch: this.epoch } })
        : notRecorded(refusal);
    error.guestOwner = this.ownerAfterFailure;
    return error;
  }
}

/** What the machine has said to a question. */
export function answerOf(outcome: OwnershipOutcome | undefined): OwnershipAnswer | undefined {
  const said = outcome?.effects.findLast((effect) => effect.startsWith('answer '));
  // The rest of the text is an answer.
  return said?.slice('answer '.length) as OwnershipAnswer | undefined;
}

function notRecorded(refusal: unknown): SternaError {
  return toSternaError(refusal, 'E_STATE_DIRECTORY', 'Ownership could not be recorded');
}
