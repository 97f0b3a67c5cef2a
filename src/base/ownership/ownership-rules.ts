import type { OwnershipState } from './ownership-record.ts';

/** What a side that is asked can say of an epoch. `none`: it has never heard of it. */
export type OwnershipAnswer = 'owner' | 'moved' | 'abandoned' | 'lost' | 'none';

/** Where one side stands with one guest, while nothing is being written. */
export type SettledPhase =
  | 'none'
  | 'owner'
  | 'granting'
  | 'withheld'
  | 'in-doubt'
  | 'granted'
  | 'preparing'
  | 'abandoned'
  | 'undecided'
  | 'interrupted'
  | 'lost'
  | 'stopped';

/** A record is on its way to disk. Nothing else is looked at until it is there or was refused. */
export type WritingPhase =
  | 'booting'
  | 'giving'
  | 'taking-back'
  | 'taking'
  | 'noting-granted'
  | 'receiving'
  | 'owning'
  | 'forgoing'
  | 'giving-up'
  | 'losing'
  | 'noting-lost'
  | 'yielding';

/** Where one side stands with one guest. */
export type OwnershipPhase = SettledPhase | WritingPhase;

/** What happens to a side. The columns of the table. */
export type OwnershipTrigger =
  // This side's own decisions.
  | 'boot'
  | 'give'
  | 'send-grant'
  | 'failed'
  | 'reach'
  | 'settle'
  // The operator's: the other side does not have the guest, and never will.
  | 'take-ownership'
  | 'boot-anyway'
  // Messages to the side that gives.
  | 'resumed'
  | `peer-${OwnershipAnswer}`
  // Messages to the side that takes.
  | 'hello'
  | 'grant'
  | 'asked'
  | 'claimed'
  // The disk's.
  | 'recorded'
  | 'refused';

/** What a side has to do, in this order. A record is one of the epoch that the side is at then. */
export type OwnershipEffect =
  | 'pause'
  | 'run'
  | `record ${OwnershipState}`
  | 'send GRANT'
  | 'send RESUMED'
  | 'send ASK'
  | `answer ${OwnershipAnswer}`;

/** One cell of the table. */
export interface OwnershipRule {
  readonly to: OwnershipPhase;
  /** Where it leads when the RAM of the guest is not in this process; then nothing is run. */
  readonly withoutMemory?: OwnershipPhase;
  /** What is added to the epoch. HELLO and a claim bring their own. */
  readonly epoch?: 1 | -1;
  readonly effects: readonly OwnershipEffect[];
}

/** Phase -> trigger -> what follows. */
export type OwnershipRules = Readonly<
  Record<OwnershipPhase, Readonly<Partial<Record<OwnershipTrigger, OwnershipRule>>>>
>;

function go(
  to: OwnershipPhase,
  effects: readonly OwnershipEffect[] = [],
  extra: Pick<OwnershipRule, 'epoch' | 'withoutMemory'> = {},
): OwnershipRule {
  return { to, effects, ...extra };
}

const receive = go('receiving', ['record preparing']);
const bootAnyway = go('booting', ['record owner'], { epoch: 1 });
const takeOwnership = go('taking', ['record owner'], { epoch: 1 });
const takeBack = go('taking-back', ['record owner'], { epoch: -1 });
const forgo = go('forgoing', ['record abandoned']);
const noteGranted = go('noting-granted', ['record granted']);
const noteLost = go('noting-lost', ['record lost']);
const lose = go('losing', ['record lost']);
const yieldTo = go('yielding', ['pause', 'record granted']);
const isGranted = go('granted');
const isLost = go('lost');

/**
 * The whole of it: phase -> trigger -> what follows. A trigger that has no rule changes nothing.
 * `docs/guest-ownership.md` prints this table, and a test explores every way in which two sides,
 * their disks and their links can go through it.
 */
export const OWNERSHIP_RULES: OwnershipRules = {
  none: { boot: bootAnyway, 'boot-anyway': bootAnyway, hello: receive },

  // The side that has the guest and gives it away.
  owner: {
    give: go('giving', ['pause', 'record granting'], { epoch: 1 }),
    // Only after an operator's word is there anybody to tell.
    reach: go('owner', ['send ASK']),
    asked: go('owner', ['answer owner']),
    claimed: yieldTo,
  },
  giving: { recorded: go('granting'), refused: takeBack },
  granting: { 'send-grant': go('in-doubt', ['send GRANT']), failed: takeBack },
  // This side owns the guest: GRANT was not sent, or was abandoned. What cannot be recorded is not
  // run all the same, and not granted either: `granting` need not be on disk.
  'taking-back': {
    recorded: go('owner', ['run'], { withoutMemory: 'interrupted' }),
    refused: go('withheld', [], { epoch: 1 }),
  },
  withheld: { failed: takeBack, 'take-ownership': takeBack },
  'in-doubt': {
    reach: go('in-doubt', ['send ASK']),
    resumed: noteGranted,
    'peer-owner': noteGranted,
    'peer-moved': noteGranted,
    'peer-abandoned': takeBack,
    'peer-lost': noteLost,
    'peer-none': go('in-doubt'),
    'take-ownership': takeOwnership,
    'boot-anyway': bootAnyway,
    // Of a later epoch: then somebody else has owned this one.
    hello: receive,
  },
  // `granting` stands on disk, which keeps the guest from running here just as well.
  'noting-granted': { recorded: isGranted, refused: isGranted },
  'noting-lost': { recorded: isLost, refused: isLost },
  taking: { recorded: go('owner', ['run']), refused: go('in-doubt', [], { epoch: -1 }) },
  granted: {
    reach: go('granted', ['send ASK']),
    'peer-lost': noteLost,
    // In post-copy the RAM is here until the destination has all of it.
    'take-ownership': takeOwnership,
    'boot-anyway': bootAnyway,
    hello: receive,
    asked: go('granted', ['answer moved']),
  },

  // The side that takes it.
  receiving: { recorded: go('preparing'), refused: forgo },
  preparing: {
    hello: receive,
    'boot-anyway': bootAnyway,
    grant: go('owning', ['record owner']),
    failed: forgo,
    settle: forgo,
    asked: forgo,
  },
  owning: {
    recorded: go('owner', ['run', 'send RESUMED']),
    refused: go('giving-up', ['record abandoned']),
  },
  // Nothing on this disk says that the guest is here, so the answer is true without the record too.
  forgoing: {
    recorded: go('abandoned', ['answer abandoned']),
    refused: go('abandoned', ['answer abandoned']),
  },
  // A refused record `owner` may be on this disk: only one that says otherwise frees the source.
  'giving-up': { recorded: go('abandoned', ['answer abandoned']), refused: go('undecided') },
  undecided: {
    asked: go('giving-up', ['record abandoned']),
    failed: go('giving-up', ['record abandoned']),
    'boot-anyway': bootAnyway,
  },
  abandoned: {
    hello: receive,
    grant: go('abandoned', ['answer abandoned']),
    asked: go('abandoned', ['answer abandoned']),
    'boot-anyway': bootAnyway,
  },

  // A process that finds a record of its predecessor.
  interrupted: {
    hello: receive,
    boot: bootAnyway,
    'boot-anyway': bootAnyway,
    settle: lose,
    asked: lose,
    claimed: yieldTo,
  },
  booting: { recorded: go('owner', ['run']), refused: go('stopped') },
  losing: { recorded: go('lost', ['answer lost']), refused: go('interrupted') },
  lost: {
    'take-ownership': takeOwnership,
    'boot-anyway': bootAnyway,
    hello: receive,
    asked: go('lost', ['answer lost']),
  },
  // An operator has the guest run elsewhere.
  yielding: { recorded: go('granted', ['answer moved']), refused: go('granted') },
  // The agent does not start.
  stopped: {},
};

/** What a new process makes of the record that it finds. Its RAM is gone. */
export const PHASE_AFTER_RESTART: Readonly<Record<OwnershipState, OwnershipPhase>> = {
  owner: 'interrupted',
  granting: 'in-doubt',
  granted: 'granted',
  preparing: 'preparing',
  abandoned: 'abandoned',
  lost: 'lost',
};
