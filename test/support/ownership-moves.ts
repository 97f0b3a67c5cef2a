import type { OwnershipRules } from '../../src/base/index.ts';
import {
  type Fault,
  isFree,
  type ModelMessage,
  type ModelSide,
  type OwnershipWorld,
  otherSide,
  type SideIndex,
  WorldDraft,
} from './ownership-world.ts';

/**
 * `step`: what agents do by themselves. `fault`: what the world does to them, from a budget.
 * `operator`: a person's word.
 */
export type MoveKind = 'step' | 'fault' | 'operator';

export interface Move {
  readonly kind: MoveKind;
  readonly name: string;
  readonly world: OwnershipWorld;
}

/** False: it cannot happen. */
type Change = (draft: WorldDraft) => unknown;

/** Everything that can happen next in `world`, whoever does it. */
export function movesOf(world: OwnershipWorld, rules: OwnershipRules): Move[] {
  const moves: Move[] = [];
  const add = (kind: MoveKind, name: string, change: Change, cost?: Fault): void => {
    if (cost !== undefined && world.budget[cost] <= 0) return;
    const draft = new WorldDraft(world, rules);
    if (cost !== undefined) draft.spend(cost);
    if (change(draft) === false) return;
    moves.push({ kind, name, world: draft.freeze() });
  };
  for (const index of [0, 1] as const) {
    const side = world.sides[index];
    const named = (kind: MoveKind, name: string, change: Change, cost?: Fault) =>
      add(kind, `${index === 0 ? 'A' : 'B'} ${name}`, change, cost);
    if (side.process === 'gone') continue;
    if (side.process === 'down') {
      named('step', 'restarts', (draft) => draft.restart(index));
      named('fault', 'is gone', (draft) => draft.crash(index, 'gone'), 'gone');
      continue;
    }
    named('fault', 'crashes', (draft) => draft.crash(index, 'down'), 'crash');
    named('fault', 'is gone', (draft) => draft.crash(index, 'gone'), 'gone');
    if (side.writing !== undefined) diskMoves(side, index, named);
    linkMoves(world, index, named);
    if (!isFree(side)) continue;
    if (side.hasFailed) named('step', 'heeds the failure', (draft) => heedFailure(draft, index));
    else {
      ownMoves(world, index, named);
      operatorMoves(world, index, named);
    }
  }
  return moves;
}

type Add = (kind: MoveKind, name: string, change: Change, cost?: Fault) => void;

function diskMoves(side: ModelSide, index: SideIndex, add: Add): void {
  const { writing } = side;
  add('step', `has recorded ${writing?.state}`, (draft) => {
    draft.change(index, { disk: writing, writing: undefined });
    return draft.step(index, { type: 'recorded' });
  });
  // A write that fails, or that a crash cuts short, may be on disk all the same.
  for (const disk of [side.disk, writing]) {
    const where = disk === writing ? 'is on disk' : 'is not on disk';
    add(
      'fault',
      `cannot record ${writing?.state}, which ${where}`,
      (draft) => {
        draft.change(index, { disk, writing: undefined });
        return draft.step(index, { type: 'refused' });
      },
      'refusal',
    );
  }
  add(
    'fault',
    `crashes when ${writing?.state} is on disk`,
    (draft) => {
      draft.change(index, { disk: writing });
      draft.crash(index, 'down');
    },
    'crash',
  );
}

/** What comes over connections, and their end. */
function linkMoves(world: OwnershipWorld, index: SideIndex, add: Add): void {
  const side = world.sides[index];
  world.links.forEach((link, number) => {
    if (link === undefined || !link.open[index]) return;
    const [next] = link.under[index];
    // A process that waits for its disk reads nothing meanwhile.
    if (next !== undefined && isFree(side) && !side.hasFailed) {
      add('step', `gets ${next.type} on ${number}`, (draft) => {
        draft.take(index, number);
        receive(draft, index, number, next);
      });
    }
    const end = (draft: WorldDraft) => endLink(draft, index, number);
    // The other side has closed. What it sent before can be lost with the connection.
    if (!link.open[otherSide(index)]) add('step', `sees the end of ${number}`, end);
    // Every question has its limit.
    else if (side.question === number) add('step', `gives ${number} up`, end);
    else add('fault', `loses ${number}, or its patience`, end, 'reset');
  });
}

function endLink(draft: WorldDraft, index: SideIndex, number: number): void {
  const isMain = draft.side(index).main === number;
  draft.close(index, number);
  if (isMain) draft.change(index, { hasFailed: true });
}

function heedFailure(draft: WorldDraft, index: SideIndex): void {
  draft.change(index, { hasFailed: false });
  draft.step(index, { type: 'failed' });
}

function receive(draft: WorldDraft, index: SideIndex, number: number, message: ModelMessage): void {
  const { main } = draft.side(index);
  const isMain = main === number;
  switch (message.type) {
    case 'HELLO': {
      const { epoch, migrationId } = message;
      if (main === undefined) {
        draft.change(index, { main: number });
        if (draft.step(index, { type: 'hello', epoch, migrationId })) return;
      }
      // Busy, or older than what is known here.
      draft.close(index, number);
      return;
    }
    case 'GRANT': {
      const { epoch, migrationId } = message;
      if (isMain && draft.step(index, { type: 'grant', epoch, migrationId })) return;
      return endLink(draft, index, number);
    }
    case 'ACK':
      if (isMain) draft.change(index, { isAcknowledged: true });
      return;
    case 'RESUMED':
      draft.step(index, { ...message, type: 'resumed' });
      // Nothing comes after it here: the proof is not about ownership.
      return draft.close(index, number);
    case 'ASK':
      // One question at a time: the older one's asker has given it up, or asks again.
      draft.close(index, draft.side(index).question);
      draft.change(index, { question: number, asked: message });
      draft.step(index, { ...message, type: 'asked' });
      return;
    case 'ANSWER':
      draft.step(index, { ...message, type: 'answered' });
      return endLink(draft, index, number);
  }
}

/** What an agent decides by itself. */
function ownMoves(world: OwnershipWorld, index: SideIndex, add: Add): void {
  const side = world.sides[index];
  const { phase, epoch, migrationId } = side.ownership;
  const peer = world.sides[otherSide(index)];
  const isIdle = side.main === undefined;
  const step = (type: 'boot' | 'settle' | 'failed' | 'send-grant') => (draft: WorldDraft) =>
    draft.step(index, { type });
  if (phase === 'owner' && isIdle && peer.process === 'up') {
    add('step', 'says HELLO', (draft) => sayHello(draft, index, epoch + 1), 'migration');
  }
  const { offer } = side;
  if (phase === 'owner' && offer !== undefined) {
    add('step', 'gives', (draft) => draft.step(index, { type: 'give', migrationId: offer }));
  }
  if (phase === 'granting' && side.isAcknowledged) add('step', 'grants', step('send-grant'));
  // What was to be recorded and was not is tried again.
  const isUnsettled = ['granting', 'withheld', 'undecided'].includes(phase);
  if (isUnsettled && (isIdle || phase !== 'granting')) add('step', 'tries', step('failed'));
  // A guest that nobody has heard of is another story.
  if (!side.ownership.hasMemory && phase !== 'none') add('step', 'boots', step('boot'));
  const isLeft = phase === 'interrupted' || (phase === 'preparing' && isIdle);
  if (isLeft) add('step', 'settles', step('settle'));
  if (phase === 'stopped') add('step', 'starts again', (draft) => startAgain(draft, index));
  const asks = phase === 'in-doubt' || phase === 'granted' || (phase === 'owner' && side.claims);
  if (asks && isIdle && side.question === undefined && peer.process === 'up') {
    if (migrationId !== undefined) {
      // A new process cannot show the secret of the migration, unless somebody lets it have the
      // page spill; its predecessor asks until it is told.
      const kind = side.ownership.hasMemory ? 'step' : 'operator';
      add(kind, 'asks', (draft) => ask(draft, index));
      const none = { type: 'answered', answer: 'none', epoch, migrationId } as const;
      add('fault', 'asks a stranger', (draft) => draft.step(index, none), 'stranger');
    }
  }
}

function sayHello(draft: WorldDraft, index: SideIndex, epoch: number): boolean {
  const number = draft.connect();
  if (number === undefined) return false;
  const migrationId = draft.migrationId();
  draft.change(index, { main: number, offer: migrationId, claims: false });
  draft.send(index, number, { type: 'HELLO', epoch, migrationId });
  return true;
}

function startAgain(draft: WorldDraft, index: SideIndex): void {
  draft.crash(index, 'down');
  draft.restart(index);
}

function ask(draft: WorldDraft, index: SideIndex): boolean {
  const number = draft.connect();
  if (number === undefined) return false;
  draft.change(index, { question: number });
  return draft.step(index, { type: 'reach' });
}

/** An operator looks at the other side first. With `error` from the budget it does not. */
function operatorMoves(world: OwnershipWorld, index: SideIndex, add: Add): void {
  const { ownership, main, question } = world.sides[index];
  // While a migration or a question is under way the agent refuses.
  if (main !== undefined || question !== undefined) return;
  const isTrue = isOut(world.sides[otherSide(index)]);
  const cost = isTrue ? undefined : 'error';
  // What ran at the other side is not the past of what runs now.
  const take = (draft: WorldDraft) => {
    draft.change(index, { claims: true });
    draft.change(otherSide(index), { ranEpoch: 0 });
    return draft.step(index, { type: 'take-ownership' });
  };
  const boot = (draft: WorldDraft) => {
    draft.change(otherSide(index), { ranEpoch: 0 });
    return draft.step(index, { type: 'boot-anyway' });
  };
  if (ownership.hasMemory) add('operator', 'takes ownership', take, cost);
  // Where nothing is known of the guest there is nothing to say of it.
  else if (isTrue && ownership.phase !== 'none') add('operator', 'boots anyway', boot);
  if (isTrue && ownership.phase === 'granted') {
    add('operator', 'starts again', (draft) => startAgain(draft, index));
  }
}

/** It does not have the guest, and never will by itself. */
function isOut(side: ModelSide): boolean {
  if (side.process === 'gone') return true;
  if (side.process === 'down' || side.writing !== undefined) return false;
  const { phase, hasMemory } = side.ownership;
  // No answer is under way that could give it back.
  const hasNoGuest = (phase === 'granted' || phase === 'in-doubt') && !hasMemory;
  if (hasNoGuest && side.question === undefined) return true;
  return ['none', 'abandoned', 'lost'].includes(phase) && side.disk?.state !== 'owner';
}
