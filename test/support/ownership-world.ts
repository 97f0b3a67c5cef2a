import {
  type HandOverName,
  isWriting,
  type Ownership,
  type OwnershipAnswer,
  type OwnershipEffect,
  type OwnershipEvent,
  type OwnershipQuestion,
  type OwnershipRules,
  type OwnershipState,
  ownershipAfterRestart,
  stepOwnership,
  UNKNOWN_GUEST,
} from '../../src/base/index.ts';

export interface ModelRecord {
  readonly state: OwnershipState;
  readonly epoch: number;
  readonly migrationId: string | undefined;
}

export type ModelMessage =
  | ({ readonly type: 'HELLO' | 'GRANT' | 'RESUMED' } & HandOverName)
  | { readonly type: 'ACK' }
  | ({ readonly type: 'ASK' } & OwnershipQuestion)
  | ({ readonly type: 'ANSWER'; readonly answer: OwnershipAnswer } & HandOverName);

/** One TCP connection: each side has an end, and bytes are under way to it in order. */
export interface ModelLink {
  readonly open: readonly [boolean, boolean];
  readonly under: readonly [readonly ModelMessage[], readonly ModelMessage[]];
}

/** One agent: its process, its disk, and which connection is for what. */
export interface ModelSide {
  readonly process: 'up' | 'down' | 'gone';
  readonly ownership: Ownership;
  readonly isRunning: boolean;
  readonly disk: ModelRecord | undefined;
  readonly writing: ModelRecord | undefined;
  /** Of the migration, and of a question: as numbers of links. */
  readonly main: number | undefined;
  readonly question: number | undefined;
  /** What the other side has asked about. */
  readonly asked: HandOverName | undefined;
  /** As the giver: the migration that HELLO has named. */
  readonly offer: string | undefined;
  /** As the giver: the other side has said that it is prepared. */
  readonly isAcknowledged: boolean;
  /** The migration failed while a record was being written. */
  readonly hasFailed: boolean;
  /** The newest epoch that ran here. */
  readonly ranEpoch: number;
  /** It runs by an operator's word, and tells the other side so. */
  readonly claims: boolean;
}

/** Both agents and what is between them. Plain data: a key of it is the state that was explored. */
export interface OwnershipWorld {
  readonly sides: readonly [ModelSide, ModelSide];
  readonly links: readonly [ModelLink | undefined, ModelLink | undefined];
  readonly budget: Readonly<Record<Fault, number>>;
}

/** What can be taken from a budget. */
export type Fault = 'migration' | 'crash' | 'reset' | 'refusal' | 'gone' | 'error' | 'stranger';
export type SideIndex = 0 | 1;

const NO_LINK: Pick<ModelSide, 'main' | 'question' | 'offer' | 'isAcknowledged' | 'hasFailed'> = {
  main: undefined,
  offer: undefined,
  question: undefined,
  isAcknowledged: false,
  hasFailed: false,
};

/** The guest runs at the first side, which has recorded so; the second has never heard of it. */
export function firstWorld(budget: OwnershipWorld['budget']): OwnershipWorld {
  const side: ModelSide = {
    process: 'up',
    ownership: UNKNOWN_GUEST,
    isRunning: false,
    disk: undefined,
    writing: undefined,
    ...NO_LINK,
    asked: undefined,
    ranEpoch: 0,
    claims: false,
  };
  const disk: ModelRecord = { state: 'owner', epoch: 1, migrationId: undefined };
  const ownership: Ownership = { ...UNKNOWN_GUEST, phase: 'owner', epoch: 1, hasMemory: true };
  const owner: ModelSide = { ...side, ownership, disk, isRunning: true, ranEpoch: 1 };
  return { sides: [owner, side], links: [undefined, undefined], budget };
}

export function otherSide(index: SideIndex): SideIndex {
  return index === 0 ? 1 : 0;
}

/** One change of a world, built up in place; `freeze` gives the new world. */
export class WorldDraft {
  private readonly rules: OwnershipRules;
  private readonly sides: [ModelSide, ModelSide];
  private readonly links: [ModelLink | undefined, ModelLink | undefined];
  private budget: OwnershipWorld['budget'];

  constructor(world: OwnershipWorld, rules: OwnershipRules) {
    this.rules = rules;
    this.sides = [...world.sides];
    this.links = [...world.links];
    this.budget = world.budget;
  }

  freeze(): OwnershipWorld {
    // A connection that both have closed is gone.
    const links = this.links.map((link) =>
      link === undefined || link.open.includes(true) ? link : undefined,
    ) as [ModelLink | undefined, ModelLink | undefined];
    return { sides: this.sides, links, budget: this.budget };
  }

  spend(fault: Fault): this {
    this.budget = { ...this.budget, [fault]: this.budget[fault] - 1 };
    return this;
  }

  /** No two migrations have the same: what is left of their budget. */
  migrationId(): string {
    return `m${this.budget.migration}`;
  }

  side(index: SideIndex): ModelSide {
    return this.sides[index];
  }

  change(index: SideIndex, changes: Partial<ModelSide>): void {
    this.sides[index] = { ...this.sides[index], ...changes };
  }

  /** A new connection, if there is room for one. */
  connect(): number | undefined {
    const number = this.links.indexOf(undefined);
    if (number < 0) return undefined;
    this.links[number] = { open: [true, true], under: [[], []] };
    return number;
  }

  send(from: SideIndex, number: number | undefined, message: ModelMessage): void {
    const link = number === undefined ? undefined : this.links[number];
    if (number === undefined || link === undefined || !link.open[from]) return;
    const to = otherSide(from);
    // Nobody reads what comes to a closed end.
    if (!link.open[to]) return;
    this.links[number] = { ...link, under: replaced(link.under, to, [...link.under[to], message]) };
  }

  take(index: SideIndex, number: number): ModelMessage | undefined {
    const link = this.links[number];
    const [message, ...rest] = link?.under[index] ?? [];
    if (link !== undefined) {
      this.links[number] = { ...link, under: replaced(link.under, index, rest) };
    }
    return message;
  }

  /** This side's end; what was under way to it is lost, what it has sent is not. */
  close(index: SideIndex, number: number | undefined): void {
    const link = number === undefined ? undefined : this.links[number];
    if (number === undefined || link === undefined) return;
    const open = replaced(link.open, index, false);
    this.links[number] = { open, under: replaced(link.under, index, []) };
    const side = this.sides[index];
    if (side.question === number) this.change(index, { question: undefined, asked: undefined });
    if (side.main === number) {
      this.change(index, { main: undefined, offer: undefined, isAcknowledged: false });
    }
  }

  /** The process and all that it knew. */
  crash(index: SideIndex, process: 'down' | 'gone'): void {
    this.links.forEach((_link, number) => {
      this.close(index, number);
    });
    const { writing, ...rest } = this.sides[index];
    const ownership = UNKNOWN_GUEST;
    this.sides[index] = { ...rest, ...NO_LINK, writing: undefined, process, ownership };
    this.change(index, { isRunning: false, claims: false });
  }

  restart(index: SideIndex): void {
    const { disk } = this.sides[index];
    this.change(index, { ...NO_LINK, process: 'up', ownership: ownershipAfterRestart(disk) });
  }

  /** Where the machine leads. False when it refuses. */
  step(index: SideIndex, event: OwnershipEvent): boolean {
    const result = stepOwnership(this.sides[index].ownership, event, this.rules);
    if (result === undefined) return false;
    const wasReceiving = this.sides[index].ownership.phase === 'receiving';
    this.change(index, { ownership: result.ownership });
    for (const effect of result.effects) this.execute(index, effect);
    if (wasReceiving && result.ownership.phase === 'preparing') {
      this.send(index, this.sides[index].main, { type: 'ACK' });
    }
    return true;
  }

  private execute(index: SideIndex, effect: OwnershipEffect): void {
    const side = this.sides[index];
    const { epoch, migrationId = '' } = side.ownership;
    if (effect === 'pause') return this.change(index, { isRunning: false });
    if (effect === 'run') return this.change(index, { isRunning: true, ranEpoch: epoch });
    if (effect === 'send GRANT') {
      return this.send(index, side.main, { type: 'GRANT', epoch, migrationId });
    }
    if (effect === 'send RESUMED') {
      return this.send(index, side.main, { type: 'RESUMED', epoch, migrationId });
    }
    if (effect === 'send ASK') return this.ask(index);
    if (effect.startsWith('record ')) {
      // The rest of the text is a state.
      const state = effect.slice('record '.length) as OwnershipState;
      return this.change(index, {
        writing: { state, epoch, migrationId: side.ownership.migrationId },
      });
    }
    this.answer(index, effect.slice('answer '.length) as OwnershipAnswer);
  }

  private ask(index: SideIndex): void {
    const { question, ownership } = this.sides[index];
    const { phase, epoch, migrationId = '' } = ownership;
    const isClaim = phase === 'owner';
    this.send(index, question, {
      type: 'ASK',
      epoch: isClaim ? epoch - 1 : epoch,
      migrationId,
      claimedEpoch: isClaim ? epoch : undefined,
    });
  }

  /** To whoever waits for it. The migration's own connection may still bring a GRANT. */
  private answer(index: SideIndex, answer: OwnershipAnswer): void {
    const { main, question, asked, ownership } = this.sides[index];
    if (asked !== undefined) {
      const { epoch, migrationId } = asked;
      this.send(index, question, { type: 'ANSWER', epoch, migrationId, answer });
      this.close(index, question);
    }
    if (answer !== 'abandoned' || ownership.phase !== 'abandoned') return;
    const { epoch, migrationId = '' } = ownership;
    this.send(index, main, { type: 'ANSWER', epoch, migrationId, answer });
  }
}

/** Whether the side can look at anything but its disk. */
export function isFree(side: ModelSide): boolean {
  return side.process === 'up' && side.writing === undefined && !isWriting(side.ownership);
}

function replaced<T>(pair: readonly [T, T], index: SideIndex, value: T): readonly [T, T] {
  return index === 0 ? [value, pair[1]] : [pair[0], value];
}
