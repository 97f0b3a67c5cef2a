import { describe, expect, test } from 'vitest';
import { SternaError } from '../../../src/base/index.ts';
import {
  DESTINATION_ACCEPTS,
  DESTINATION_OWES,
  DESTINATION_SENDS,
  type DestinationState,
  type MessageName,
  nextState,
  SOURCE_ACCEPTS,
  SOURCE_AWAITS,
  SOURCE_SENDS,
  type SourceState,
} from '../../../src/protocol/index.ts';

/** Both sides and what is under way between them. */
interface World {
  readonly source: SourceState;
  readonly destination: DestinationState;
  readonly toDestination: readonly MessageName[];
  readonly toSource: readonly MessageName[];
}

/** Deep enough for every pair of messages to cross. */
const QUEUE_MAX = 2;
const FINAL = ['ended', 'cancelled', 'failed'];

describe('conversation tables', () => {
  const worlds = explore();

  test('nextState() refuses nothing when both sides send what their tables allow', () => {
    expect(worlds.refused).toEqual([]);
    expect(worlds.reached.size).toBeGreaterThan(1000);
  });

  test('every reachable world can come to an end', () => {
    const stuck = [...worlds.reached.keys()].filter((key) => !worlds.canEnd.has(key));
    expect(stuck).toEqual([]);
  });

  test('every state of both sides is reachable', () => {
    const states = [...worlds.reached.values()];
    const sources = new Set(states.map((world) => world.source));
    const destinations = new Set(states.map((world) => world.destination));
    expect([...sources].sort()).toEqual(Object.keys(SOURCE_SENDS).sort());
    expect([...destinations].sort()).toEqual(Object.keys(DESTINATION_SENDS).sort());
  });

  test('the destination can be granted the guest only when the source can no longer cancel', () => {
    const states = [...worlds.reached.values()];
    // Not over a connection that JOIN began: there the guest was granted before.
    const resumed = states.filter((world) => world.destination === 'resumed');
    expect(resumed.length).toBeGreaterThan(0);
    const afterGrant = [
      'granted',
      'resumed',
      'postcopy',
      'draining',
      'late-verifying',
      'late-comparing',
      'failed',
      'ended',
    ];
    for (const world of resumed) expect(afterGrant).toContain(world.source);
  });

  test('owed and awaited answers are legal where they are owed and awaited', () => {
    for (const [state, message] of Object.entries(DESTINATION_OWES)) {
      expect(DESTINATION_SENDS[state as DestinationState][message]).toBeDefined();
    }
    for (const [state, message] of Object.entries(SOURCE_AWAITS)) {
      expect(SOURCE_ACCEPTS[state as SourceState][message]).toBeDefined();
    }
  });
});

describe('nextState()', () => {
  test('nextState() names message and state when the message must not come', () => {
    const result = nextState(DESTINATION_ACCEPTS, 'setup', 'GRANT');
    expect(result).toBeInstanceOf(SternaError);
    expect(result).toMatchObject({
      code: 'E_PROTOCOL_UNEXPECTED_MESSAGE',
      message: 'Message GRANT must not come in state setup',
      detail: { message: 'GRANT', state: 'setup' },
    });
  });

  test.each<[DestinationState, MessageName]>([
    ['connected', 'PAGE_BATCH'],
    ['connected', 'PING'],
    ['greeted', 'PASS_BEGIN'],
    ['setup', 'HELLO'],
    ['setup', 'PAGE_BATCH'],
    ['active', 'MACHINE_STATE'],
    ['active', 'SWITCHOVER'],
    ['stopped', 'SWITCHOVER'],
    ['device', 'PAGE_BATCH'],
    ['loading', 'GRANT'],
    ['verifying', 'GRANT'],
    ['comparing', 'GRANT'],
    ['granted', 'CANCEL'],
    ['resumed', 'GRANT'],
    ['resumed', 'PAGE_BATCH'],
    ['active', 'MISSING_MAP'],
    ['resumed', 'POSTCOPY_END'],
    ['postcopy', 'CANCEL'],
    ['postcopy', 'VERIFY_HASHES'],
    ['draining', 'PAGE_BATCH'],
    ['recovering', 'PAGE_BATCH'],
    ['attached', 'STOPPED'],
    ['late-verifying', 'GOODBYE'],
    ['late-verifying', 'JOURNAL_ACK'],
    ['granted', 'JOURNAL_ACK'],
    ['connected', 'PROBE_DATA'],
    ['setup', 'PROBE'],
    ['active', 'PROBE_DATA'],
    ['probed', 'PROBE_DATA'],
    ['probing', 'HELLO'],
    ['probing', 'PAGE_BATCH'],
    ['summing', 'PROBE_DATA'],
    ['measured', 'HELLO'],
    ['ended', 'PING'],
  ])('nextState() refuses at the destination in state %s when %s comes', (state, message) => {
    expect(nextState(DESTINATION_ACCEPTS, state, message)).toBeInstanceOf(SternaError);
  });

  test.each<[SourceState, MessageName]>([
    ['greeting', 'PROGRESS'],
    ['active', 'SWITCHOVER_ACK'],
    ['active', 'RESUMED'],
    ['switchover', 'RESUMED'],
    ['ready', 'VERIFY_RESULT'],
    ['granted', 'SWITCHOVER_ACK'],
    ['resumed', 'RESUMED'],
    ['granted', 'GUEST_STARTED'],
    ['granted', 'PAGE_REQUEST'],
    ['resumed', 'PAGE_REQUEST'],
    ['postcopy', 'ALL_RECEIVED'],
    ['postcopy', 'RECEIVED_MAP'],
    ['granted', 'JOURNAL_PAGES'],
    ['resumed', 'JOURNAL_POINT'],
    ['recovering', 'JOURNAL_STATE'],
    ['attached', 'JOURNAL_PAGES'],
    ['setup', 'ATTACHED'],
    ['greeting', 'PROBE_ACK'],
    ['probing', 'PROBE_RESULT'],
    ['summing', 'HELLO_ACK'],
  ])('nextState() refuses at the source in state %s when %s comes', (state, message) => {
    expect(nextState(SOURCE_ACCEPTS, state, message)).toBeInstanceOf(SternaError);
  });

  test('nextState() leads from HELLO to GOODBYE when a link is lost in post-copy', () => {
    const begun: Steps = [...INTO_POSTCOPY, ['<', 'PAGE_REQUEST'], ['>', 'PAGE_BATCH']];
    expect(walk(begun)).toEqual(['postcopy', 'postcopy']);
    const recovered: Steps = [
      ['>', 'JOIN'],
      ['<', 'RECOVERY'],
      ['<', 'RECEIVED_MAP'],
      ['<', 'RECOVERED'],
      ['<', 'PAGE_REQUEST'],
      ['>', 'PAGE_BATCH'],
      ['>', 'POSTCOPY_END'],
      ['<', 'ALL_RECEIVED'],
      ['>', 'VERIFY_HASHES'],
      ['>', 'VERIFY_END'],
      ['<', 'VERIFY_RESULT'],
      ['>', 'GOODBYE'],
    ];
    expect(walk(recovered)).toEqual(['ended', 'ended']);
  });

  test('nextState() lets the journal come back until the last page has come', () => {
    const journal: Steps = [
      ...INTO_POSTCOPY,
      ['<', 'JOURNAL_PAGES'],
      ['>', 'JOURNAL_ACK'],
      ['>', 'PAGE_BATCH'],
      ['<', 'JOURNAL_STATE'],
      ['>', 'POSTCOPY_END'],
      ['<', 'JOURNAL_POINT'],
      ['>', 'JOURNAL_ACK'],
    ];
    expect(walk(journal)).toEqual(['draining', 'draining']);
    const overtaken: Steps = [...journal, ['<', 'ALL_RECEIVED'], ['>', 'GOODBYE']];
    expect(walk(overtaken)).toEqual(['ended', 'ended']);
  });

  test('nextState() leads a preempt connection from HELLO to GOODBYE', () => {
    const steps: Steps = [
      ['>', 'JOIN'],
      ['<', 'ATTACHED'],
      ['>', 'PAGE_BATCH'],
      ['>', 'GOODBYE'],
    ];
    expect(walk(steps)).toEqual(['ended', 'ended']);
  });

  test('nextState() leads a probe from PROBE to GOODBYE', () => {
    const steps: Steps = [
      ['>', 'PROBE'],
      ['<', 'PROBE_ACK'],
      ['>', 'PING'],
      ['<', 'PONG'],
      ['>', 'PROBE_DATA'],
      ['<', 'PROGRESS'],
      ['>', 'PROBE_END'],
      ['<', 'PROBE_RESULT'],
      ['>', 'GOODBYE'],
    ];
    expect(walk(steps)).toEqual(['ended', 'ended']);
  });

  test('nextState() leads from HELLO to GOODBYE when all goes well', () => {
    const steps: Steps = [
      ...BEGIN,
      ['>', 'STOPPED'],
      ['>', 'PAGE_BATCH'],
      ['>', 'MACHINE_STATE'],
      ['>', 'SWITCHOVER'],
      ['<', 'SWITCHOVER_ACK'],
      ['>', 'GRANT'],
      ['<', 'RESUMED'],
      ['>', 'VERIFY_HASHES'],
      ['<', 'GUEST_STARTED'],
      ['>', 'VERIFY_END'],
      ['<', 'VERIFY_RESULT'],
      ['>', 'GOODBYE'],
    ];
    expect(walk(steps)).toEqual(['ended', 'ended']);
  });
});

type Steps = readonly (readonly ['>' | '<', MessageName])[];

const BEGIN: Steps = [
  ['>', 'HELLO'],
  ['<', 'HELLO_ACK'],
  ['>', 'PASS_BEGIN'],
  ['>', 'PAGE_BATCH'],
  ['<', 'PROGRESS'],
];
const INTO_POSTCOPY: Steps = [
  ...BEGIN,
  ['>', 'STOPPED'],
  ['>', 'MISSING_MAP'],
  ['>', 'MACHINE_STATE'],
  ['>', 'SWITCHOVER'],
  ['<', 'SWITCHOVER_ACK'],
  ['>', 'GRANT'],
  ['<', 'POSTCOPY_RESUMED'],
];

/** Where a fresh connection is on both sides after these messages. */
function walk(steps: Steps): [SourceState, DestinationState] {
  let source: SourceState = 'connected';
  let destination: DestinationState = 'connected';
  for (const [direction, message] of steps) {
    const [sourceTable, destinationTable] =
      direction === '>' ? [SOURCE_SENDS, DESTINATION_ACCEPTS] : [SOURCE_ACCEPTS, DESTINATION_SENDS];
    source = legal(nextState(sourceTable, source, message));
    destination = legal(nextState(destinationTable, destination, message));
  }
  return [source, destination];
}

function legal<State extends string>(next: State | SternaError): State {
  if (next instanceof SternaError) throw next;
  return next;
}

/**
 * Every world that two peers can reach which obey their tables, with up to QUEUE_MAX messages
 * each way.
 */
function explore() {
  const start: World = {
    source: 'connected',
    destination: 'connected',
    toDestination: [],
    toSource: [],
  };
  const reached = new Map<string, World>([[keyOf(start), start]]);
  const cameFrom = new Map<string, string[]>();
  const refused: string[] = [];
  const open = [start];
  for (let world = open.pop(); world !== undefined; world = open.pop()) {
    for (const next of successors(world, refused)) {
      const key = keyOf(next);
      const parents = cameFrom.get(key);
      if (parents === undefined) cameFrom.set(key, [keyOf(world)]);
      else parents.push(keyOf(world));
      if (reached.has(key)) continue;
      reached.set(key, next);
      open.push(next);
    }
  }
  return { reached, refused: [...new Set(refused)], canEnd: endable(reached, cameFrom) };
}

function successors(world: World, refused: string[]): World[] {
  const worlds: World[] = [];
  const [toDestination, ...laterToDestination] = world.toDestination;
  if (toDestination !== undefined) {
    const next = nextState(DESTINATION_ACCEPTS, world.destination, toDestination);
    if (next instanceof SternaError) refused.push(`destination: ${next.message}`);
    else worlds.push({ ...world, destination: next, toDestination: laterToDestination });
  }
  const [toSource, ...laterToSource] = world.toSource;
  if (toSource !== undefined) {
    const next = nextState(SOURCE_ACCEPTS, world.source, toSource);
    if (next instanceof SternaError) refused.push(`source: ${next.message}`);
    else worlds.push({ ...world, source: next, toSource: laterToSource });
  }
  if (world.toDestination.length < QUEUE_MAX) {
    for (const [message, source] of rows(SOURCE_SENDS[world.source])) {
      worlds.push({ ...world, source, toDestination: [...world.toDestination, message] });
    }
  }
  if (world.toSource.length < QUEUE_MAX) {
    for (const [message, destination] of rows(DESTINATION_SENDS[world.destination])) {
      worlds.push({ ...world, destination, toSource: [...world.toSource, message] });
    }
  }
  return worlds;
}

function rows<State>(row: Readonly<Partial<Record<MessageName, State>>>): [MessageName, State][] {
  // PONG follows the same rows as PING; leaving it out halves the worlds without losing one.
  const entries = Object.entries(row) as [MessageName, State][];
  return entries.filter(([message]) => message !== 'PONG');
}

/** Walks back from the ends: what is not met cannot come to one. */
function endable(reached: Map<string, World>, cameFrom: Map<string, string[]>): Set<string> {
  const open = [...reached].filter(([, world]) => isEnd(world)).map(([key]) => key);
  const canEnd = new Set(open);
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    for (const parent of cameFrom.get(key) ?? []) {
      if (canEnd.has(parent)) continue;
      canEnd.add(parent);
      open.push(parent);
    }
  }
  return canEnd;
}

function isEnd(world: World): boolean {
  const isQuiet = world.toDestination.length + world.toSource.length === 0;
  return isQuiet && FINAL.includes(world.source) && FINAL.includes(world.destination);
}

function keyOf(world: World): string {
  const { source, destination, toDestination, toSource } = world;
  return [source, destination, toDestination.join('+'), toSource.join('+')].join('|');
}
