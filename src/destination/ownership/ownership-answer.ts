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
  /** It runs elsewhere by an operator's word: it must stand still here when this returns. */
  pause(): void;
  /** That is durable now. */
  yielded(): void;
}

/**
 * Answers the source of a migration that is over here, or that a process before this one took part
 * in. What is answered is durable. Undefined when the disk does not let it: it may ask again.
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
