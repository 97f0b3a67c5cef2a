import { mayRun, type OwnershipRules } from '../../src/base/index.ts';
import { type MoveKind, movesOf } from './ownership-moves.ts';
import {
  firstWorld,
  type ModelMessage,
  type ModelRecord,
  type ModelSide,
  type OwnershipWorld,
  otherSide,
} from './ownership-world.ts';

export interface Exploration {
  readonly worldCount: number;
  /** Of the world that is farthest from the first one, in moves. */
  readonly depth: number;
  /** What was violated first, and the shortest way to it. */
  readonly violation: { readonly rule: string; readonly path: readonly string[] } | undefined;
  /** Worlds from which no sequence of such moves leads to exactly one side that runs the guest. */
  stuck(kinds: readonly MoveKind[], where: (world: OwnershipWorld) => boolean): string[][];
}

interface Node {
  readonly world: OwnershipWorld;
  readonly parent: number;
  readonly name: string;
  readonly depth: number;
}

/** Moves as two numbers each: from, to. */
type Edges = Record<MoveKind, number[]>;

/** Breadth first through every world that can be reached; stops at the first violation. */
export function explore(
  budget: OwnershipWorld['budget'],
  rules: OwnershipRules,
  isViolation: (world: OwnershipWorld) => string | undefined = violationOf,
): Exploration {
  const nodes: Node[] = [{ world: firstWorld(budget), parent: -1, name: 'start', depth: 0 }];
  const numbers = new Map<string, number>([[keyOf(firstWorld(budget)), 0]]);
  const edges: Edges = { step: [], fault: [], operator: [] };
  let violation: Exploration['violation'];
  for (let from = 0; from < nodes.length && violation === undefined; from += 1) {
    const node = nodes[from] as Node;
    for (const { kind, name, world } of movesOf(node.world, rules)) {
      const key = keyOf(world);
      let to = numbers.get(key);
      if (to === undefined) {
        to = nodes.length;
        numbers.set(key, to);
        nodes.push({ world, parent: from, name, depth: node.depth + 1 });
        const rule = isViolation(world);
        if (rule !== undefined) violation ??= { rule, path: pathTo(nodes, to) };
      }
      edges[kind].push(from, to);
    }
  }
  return {
    worldCount: nodes.length,
    depth: nodes.at(-1)?.depth ?? 0,
    violation,
    stuck: (kinds, where) => {
      const saved = canReachOwner(
        nodes,
        kinds.map((kind) => edges[kind]),
      );
      return nodes.flatMap(({ world }, number) =>
        saved[number] === 1 || !where(world) ? [] : [pathTo(nodes, number)],
      );
    },
  };
}

/** The promise, for every world. */
export function violationOf({ sides }: OwnershipWorld): string | undefined {
  if (sides.every((side) => side.isRunning)) return 'at most one side runs the guest';
  for (const index of [0, 1] as const) {
    const { isRunning, ownership, disk } = sides[index];
    if (!isRunning) continue;
    if (!mayRun(ownership)) return 'the guest runs only where the machine says that it may';
    const isOnRecord = disk?.state === 'owner' && disk.epoch === ownership.epoch;
    if (!isOnRecord) return 'the guest runs only where that is on disk';
    if (ownership.epoch <= sides[otherSide(index)].ranEpoch) return 'an epoch runs on one side';
  }
  return undefined;
}

export function runningCount({ sides }: OwnershipWorld): number {
  return sides.filter((side) => side.isRunning).length;
}

function canReachOwner(nodes: readonly Node[], edgeLists: readonly number[][]): Uint8Array {
  const before = new Map<number, number[]>();
  for (const edges of edgeLists) {
    for (let place = 0; place < edges.length; place += 2) {
      const [from, to] = edges.slice(place, place + 2) as [number, number];
      const list = before.get(to);
      if (list === undefined) before.set(to, [from]);
      else list.push(from);
    }
  }
  const saved = new Uint8Array(nodes.length);
  const open = nodes.flatMap(({ world }, number) => (runningCount(world) === 1 ? [number] : []));
  for (const number of open) saved[number] = 1;
  for (let number = open.pop(); number !== undefined; number = open.pop()) {
    for (const from of before.get(number) ?? []) {
      if (saved[from] === 1) continue;
      saved[from] = 1;
      open.push(from);
    }
  }
  return saved;
}

function pathTo(nodes: readonly Node[], number: number): string[] {
  const path: string[] = [];
  for (let node = nodes[number]; node !== undefined && node.parent >= 0; ) {
    path.unshift(node.name);
    node = nodes[node.parent];
  }
  return path;
}

/** Equal for worlds that are equal, and for no others. */
function keyOf({ sides, links, budget }: OwnershipWorld): string {
  const parts: unknown[] = Object.values(budget);
  for (const side of sides) parts.push(sideKey(side));
  for (const link of links) {
    if (link === undefined) parts.push('-');
    else parts.push(...link.open.map(Number), ...link.under.map(messagesKey));
  }
  return parts.join(' ');
}

function sideKey(side: ModelSide): string {
  const { phase, epoch, migrationId, formerMigrationId, hasMemory } = side.ownership;
  const flags = [hasMemory, side.isRunning, side.isAcknowledged, side.hasFailed, side.claims];
  return [
    ...[side.process, phase, epoch, migrationId, formerMigrationId, flags.map(Number).join('')],
    ...[recordKey(side.disk), recordKey(side.writing), side.offer],
    ...[side.main, side.question, side.asked?.epoch, side.asked?.migrationId, side.ranEpoch],
  ].join();
}

function recordKey(record: ModelRecord | undefined): string {
  return record === undefined ? '' : `${record.state}${record.epoch}${record.migrationId}`;
}

function messagesKey(messages: readonly ModelMessage[]): string {
  return messages.map((message) => Object.values(message).join()).join(';');
}
