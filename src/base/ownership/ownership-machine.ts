import type { OwnershipRecord } from './ownership-record.ts';
import {
  OWNERSHIP_RULES,
  type OwnershipAnswer,
  type OwnershipEffect,
  type OwnershipPhase,
  type OwnershipRule,
  type OwnershipRules,
  type OwnershipTrigger,
  PHASE_AFTER_RESTART,
} from './ownership-rules.ts';

/** What one side knows of one guest. */
export interface Ownership {
  readonly phase: OwnershipPhase;
  /** As in a record: of the guest that this side runs, or of the hand-over that it is part of. */
  readonly epoch: number;
  /** The hand-over that this epoch comes from; undefined for a guest that began here. */
  readonly migrationId: string | undefined;
  /** While the guest is given away: what is `migrationId` again when it is taken back. */
  readonly formerMigrationId: string | undefined;
  /** The RAM of that epoch is in this process. */
  readonly hasMemory: boolean;
}

/** Names a hand-over: the epoch that it leads to, and the migration. */
export interface HandOverName {
  readonly epoch: number;
  readonly migrationId: string;
}

/** A question about a hand-over. */
export interface OwnershipQuestion extends HandOverName {
  /** The epoch that the asker runs by its operator's word, when it only tells that. */
  readonly claimedEpoch?: number | undefined;
}

type PlainTrigger = Exclude<
  OwnershipTrigger,
  'give' | 'hello' | 'grant' | 'asked' | 'claimed' | 'resumed' | `peer-${OwnershipAnswer}`
>;

/** What happens to a side, with what messages bring. */
export type OwnershipEvent =
  | { readonly type: PlainTrigger }
  | { readonly type: 'give'; readonly migrationId: string }
  /** `epoch`: of the hand-over, one more than the source's own. */
  | ({ readonly type: 'hello' | 'grant' } & HandOverName)
  | ({ readonly type: 'asked' } & OwnershipQuestion)
  | ({ readonly type: 'resumed' } & HandOverName)
  | ({ readonly type: 'answered'; readonly answer: OwnershipAnswer } & HandOverName);

/** Where an event leads and what has to be done, in this order. */
export interface OwnershipStep {
  readonly ownership: Ownership;
  readonly effects: readonly OwnershipEffect[];
}

/** A side that has never heard of the guest. */
export const UNKNOWN_GUEST: Ownership = {
  phase: 'none',
  epoch: 0,
  migrationId: undefined,
  formerMigrationId: undefined,
  hasMemory: false,
};

/** The one question that matters. */
export function mayRun({ phase }: Ownership): boolean {
  return phase === 'owner';
}

/** A record is being written: every event but the disk's has to wait. */
export function isWriting({ phase }: Ownership): boolean {
  return OWNERSHIP_RULES[phase].recorded !== undefined;
}

/** What a new process knows: its predecessor's record, and none of its RAM. */
export function ownershipAfterRestart(
  record: Pick<OwnershipRecord, 'state' | 'epoch' | 'migrationId'> | undefined,
): Ownership {
  if (record === undefined) return UNKNOWN_GUEST;
  const { state, epoch, migrationId } = record;
  return { ...UNKNOWN_GUEST, phase: PHASE_AFTER_RESTART[state], epoch, migrationId };
}

/** Pure. Undefined when that must not happen here and now: nothing changes, and nobody is told. */
export function stepOwnership(
  ownership: Ownership,
  event: OwnershipEvent,
  rules: OwnershipRules = OWNERSHIP_RULES,
): OwnershipStep | undefined {
  const { phase, epoch } = ownership;
  switch (event.type) {
    case 'asked':
      return answer(ownership, event, rules);
    case 'give':
      return follow(ownership, rules[phase].give, {
        migrationId: event.migrationId,
        formerMigrationId: ownership.migrationId,
      });
    case 'hello':
      // An epoch that was only prepared or abandoned never ran here, and can be tried again.
      if (event.epoch <= (isUntaken(phase) ? epoch - 1 : epoch)) return undefined;
      return follow(ownership, rules[phase].hello, { ...nameOf(event), hasMemory: true });
    case 'grant':
    case 'resumed':
      return isAbout(ownership, event) ? follow(ownership, rules[phase][event.type]) : undefined;
    case 'answered':
      // Otherwise it is one to an older question: about an earlier attempt at the same epoch, even.
      if (!isAbout(ownership, event)) return undefined;
      return follow(ownership, rules[phase][`peer-${event.answer}`]);
    case 'boot':
    case 'boot-anyway':
      return follow(ownership, rules[phase][event.type], {
        migrationId: undefined,
        hasMemory: true,
      });
    default:
      return follow(ownership, rules[phase][event.type]);
  }
}

function answer(
  ownership: Ownership,
  question: OwnershipQuestion,
  rules: OwnershipRules,
): OwnershipStep | undefined {
  const { phase, epoch } = ownership;
  if (isWriting(ownership) || phase === 'stopped') return undefined;
  const stay = (said: OwnershipAnswer): OwnershipStep => ({
    ownership,
    effects: [`answer ${said}`],
  });
  if (question.epoch > epoch) return stay('none');
  // Whatever is known here of a later epoch, somebody has owned this one to make it.
  if (question.epoch < epoch) return stay('moved');
  if (!isAbout(ownership, question)) {
    // An epoch is only tried again when the attempt before was abandoned.
    if (isUntaken(phase)) return stay('abandoned');
    return stay(phase === 'owner' ? 'owner' : 'none');
  }
  const { claimedEpoch = epoch } = question;
  // The question names the migration by which the guest came: only the side that sent it can.
  const yields = claimedEpoch > epoch ? rules[phase].claimed : undefined;
  if (yields !== undefined) return follow(ownership, yields, { epoch: claimedEpoch });
  return follow(ownership, rules[phase].asked) ?? stay('none');
}

function follow(
  before: Ownership,
  found: OwnershipRule | undefined,
  brought: Partial<Ownership> = {},
): OwnershipStep | undefined {
  if (found === undefined) return undefined;
  const { to, withoutMemory, epoch = 0, effects } = found;
  const isSwap = to === 'taking-back' || (before.phase === 'taking-back' && epoch > 0);
  const named = isSwap ? otherName(before) : before;
  const ownership = {
    ...named,
    phase: to,
    epoch: before.epoch + epoch,
    // What has come of a guest that was not taken is thrown away.
    hasMemory: before.hasMemory && to !== 'abandoned',
    ...brought,
  };
  if (withoutMemory === undefined || before.hasMemory) return { ownership, effects };
  return { ownership: { ...ownership, phase: withoutMemory }, effects: [] };
}

/** Taking back names the migration by which the guest came here; giving, the one that takes it. */
function otherName(ownership: Ownership): Ownership {
  const { migrationId, formerMigrationId } = ownership;
  return { ...ownership, migrationId: formerMigrationId, formerMigrationId: migrationId };
}

function isAbout(ownership: Ownership, name: HandOverName): boolean {
  return name.epoch === ownership.epoch && name.migrationId === ownership.migrationId;
}

function isUntaken(phase: OwnershipPhase): boolean {
  return phase === 'preparing' || phase === 'abandoned';
}

function nameOf({ epoch, migrationId }: HandOverName): HandOverName {
  return { epoch, migrationId };
}
