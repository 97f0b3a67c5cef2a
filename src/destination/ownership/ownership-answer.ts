import {
  type OwnershipAnswer,
  OwnershipKeeper,
  type OwnershipLedger,
  type OwnershipQuestion,
  ownershipAfterRestart,
} from '../../base/index.ts';
import { answerOf } from './take-over.ts';

/** Whom a question is about, when no migration of that guest is under way here. */
export interface AskedSide {
  readonly ledger: OwnershipLedger;
  readonly uuid: string;
  readonly peer: string;
  /** The guest of that record is in this process. */
  readonly isHere: boolean;
  /** Nothing else has it in hand: a migration out of here, for one. */
  mayYield(): boolean;
  /** It runs elsewhere by an operator's word: it must stand still here when this returns. */
  pause(): void;
  /** That is durable now. */
  yielded(): void;
}

/**
 * Answers the source of a migration that is over here, or that a process before this one took part
 * in. What is answered is durable. Undefined when that cannot be now: it may ask again.
 */
export async function answerByRecord(
  side: AskedSide,
  question: OwnershipQuestion,
): Promise<OwnershipAnswer | undefined> {
  const { ledger, uuid, peer, isHere } = side;
  const found = ownershipAfterRestart(ledger.read(uuid));
  const ownership =
    isHere && found.phase === 'interrupted'
      ? ({ ...found, phase: 'owner', hasMemory: true } as const)
      : found;
  const { epoch, migrationId, claimedEpoch = 0 } = question;
  const isOurs = ownership.epoch === epoch && ownership.migrationId === migrationId;
  const yields = ownership.phase === 'owner' && isOurs && claimedEpoch > epoch;
  // Whoever has it in hand would go on to give away what is not this side's any more.
  if (yields && !side.mayYield()) return undefined;
  const keeper = new OwnershipKeeper({
    ledger,
    uuid,
    peer,
    ownership,
    perform: (effect) => {
      if (effect === 'pause') side.pause();
    },
  });
  const outcome = await keeper.handle({ type: 'asked', ...question });
  if (outcome.effects.includes('pause') && outcome.refusal === undefined) side.yielded();
  return answerOf(outcome);
}
