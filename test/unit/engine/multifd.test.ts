import { describe, expect, test } from 'vitest';
import type { SternaError } from '../../../src/base/index.ts';
import type { FrameFate } from '../../../src/channel/index.ts';
import {
  encodeJoin,
  MESSAGE_TYPES,
  messageName,
  migrationIdOf,
} from '../../../src/protocol/index.ts';
import {
  EnginePair,
  PAIR_SECRET,
  type PairOptions,
  type PairResult,
  type SentFrame,
  unanswered,
} from '../../support/engine-pair.ts';
import { FAKE_DESCRIPTION, ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, dirtyWholly, fillGuest } from '../../support/guest-script.ts';
import { type RecordedFrame, RecordingSink } from '../../support/recording-sink.ts';

/** More than one frame, so that there is something to share out. */
const PAGES = 600;

interface Run {
  readonly pair: EnginePair;
  readonly result: PairResult;
  /** How many frames with pages went over each connection, before POSTCOPY_RESUMED came. */
  readonly batches: readonly number[];
}

function multifdPair(options: PairOptions, sent: SentFrame[] = []): EnginePair {
  const pair = new EnginePair({
    connect: () => {},
    ...options,
    capabilities: { multifd: true, ...options.capabilities },
    onFrame: (frame, itself) => {
      sent.push(frame);
      return options.onFrame?.(frame, itself);
    },
  });
  fillGuest(pair.machine, PAGES);
  return pair;
}

async function run(options: PairOptions): Promise<Run> {
  const sent: SentFrame[] = [];
  const pair = multifdPair(options, sent);
  const result = await pair.run();
  const resumed = sent.findIndex(({ name }) => name === 'POSTCOPY_RESUMED');
  const before = resumed === -1 ? sent : sent.slice(0, resumed);
  const batches = Array.from(
    { length: pair.connections },
    (_, connection) =>
      before.filter((frame) => frame.name === 'PAGE_BATCH' && frame.connection === connection)
        .length,
  );
  return { pair, result, batches };
}

function expectWhole({ pair, result }: Run): void {
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(result.destination.status).toBe('completed');
  expect(result.sourceInfo.verify).toMatchObject({ status: 'identical' });
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(pair.runningMachines()).toEqual([pair.arrived]);
}

function nameOf({ header }: RecordedFrame): string {
  return messageName(header.type) ?? 'unknown';
}

/** The guest goes on here, whatever happened, and nothing of it is left there. */
function expectHere({ pair, result }: Run, code: SternaError['code']): void {
  expect(result.source).toMatchObject({
    status: 'failed',
    error: { code, guestOwner: 'source' },
  });
  expect(pair.runningMachines()).toEqual([pair.machine]);
  expect(pair.factory.destroyed).toEqual(pair.factory.created);
}

describe('multifd', () => {
  test('shares a long pass out among its connections, and both sides count what went there', async () => {
    const ran = await run({ parameters: { multifdChannels: 3 } });
    expectWhole(ran);
    const { pair, result, batches } = ran;
    // The main one carries zero runs of pages that never held anything only when they are few.
    expect(batches[0]).toBe(0);
    expect(batches.slice(1).every((count) => count > 0)).toBe(true);
    const further = pair.further.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
    const all = pair.sourceChannel.sentBytes + further;
    expect(result.sourceInfo.ram.transferredBytes).toBe(all);
    expect(result.sourceInfo.ram.multifdBytes).toBe(further);
    expect(result.destinationInfo.ram.multifdBytes).toBe(further);
    expect(result.destinationInfo.ram.transferredBytes).toBe(
      pair.destinationChannel.receivedBytes + further,
    );
  });

  test('leaves short passes, the last one too, to the connection that there is anyhow', async () => {
    let rounds = 3;
    const ran = await run({
      parameters: { downtimeLimitMs: 0.01 },
      sourceHooks: {
        beforeFlip: (machine) => {
          rounds -= 1;
          if (rounds > 0) dirtyWholly(machine, rounds, 30);
        },
        beforePause: (machine) => dirtyWholly(machine, 9, 20),
      },
    });
    expectWhole(ran);
    expect(ran.batches[0]).toBeGreaterThan(0);
    expect(ran.batches[1]).toBeGreaterThan(0);
  });

  test.each([1, 2, 16])('moves deltas over %i connections, on their bases', async (channels) => {
    let round = 0;
    const ran = await run({
      capabilities: { xbzrle: true },
      parameters: { multifdChannels: channels, downtimeLimitMs: 0.001 },
      // Each connection is late by another time, so that frames overtake each other.
      link: { bandwidthBytesPerSecond: 40e6, latencyMs: (nowMs) => 0.1 + (nowMs % 7) },
      sourceHooks: {
        beforeFlip: (machine) => {
          round += 1;
          if (round < 9) dirtySparsely(machine, round, 500);
          if (round === 4) dirtyWholly(machine, round, 300);
        },
        beforePause: (machine) => dirtySparsely(machine, 10, 500),
      },
    });
    expectWhole(ran);
    expect(ran.result.sourceInfo.pageKinds.xbzrle.pages).toBeGreaterThan(1000);
    expect(ran.batches.slice(1).every((count) => count > 0)).toBe(true);
  });

  test('shares nothing out before what went the other way has been applied', async () => {
    let round = 0;
    const ran = await run({
      parameters: { downtimeLimitMs: 0.001, reorder: 'off' },
      // Whatever goes over the first connection comes late.
      link: { latencyMs: (nowMs) => (nowMs > 5001 ? 30 : 0.1) },
      furtherLink: { latencyMs: 0.1 },
      sourceHooks: {
        beforeFlip: (machine) => {
          round += 1;
          // A short pass, and a long one of the same pages.
          if (round === 2) dirtyWholly(machine, round, 50);
          if (round === 3) dirtyWholly(machine, round, 550);
        },
      },
    });
    expectWhole(ran);
    expect(ran.batches.every((count) => count > 0)).toBe(true);
  });

  test.each([
    ['stop', 'strict'],
    ['stop', 'after'],
    ['precopy', 'strict'],
  ] as const)('waits for the last pages in mode %s with verify=%s', async (mode, verify) => {
    // SWITCHOVER overtakes all of them.
    const ran = await run({
      parameters: { mode, verify },
      furtherLink: { latencyMs: 40 },
      sourceHooks: { beforePause: (machine) => dirtyWholly(machine, 1, 500) },
    });
    expectWhole(ran);
    expect(ran.batches[1]).toBeGreaterThan(0);
    expect(ran.result.sourceInfo.downtimeMs).toBeGreaterThan(40);
  });

  test.each(['hybrid', 'postcopy'] as const)(
    'leaves post-copy to the others in mode %s',
    async (mode) => {
      const ran = await run({
        capabilities: { 'postcopy-preempt': true, xbzrle: true },
        parameters: { mode, downtimeLimitMs: 0 },
        link: { bandwidthBytesPerSecond: 20e6 },
        furtherLink: { latencyMs: 5 },
        sourceHooks: {
          beforeFlip: (machine) => dirtyWholly(machine, 1, 400),
          beforePause: (machine) => dirtyWholly(machine, 2, 400),
        },
        onFrame: ({ name }, { clock, outgoing }) => {
          if (name === 'POSTCOPY_RESUMED') void clock.sleep(1).then(() => outgoing.pauseLink());
          if (name === 'POSTCOPY_RESUMED') void clock.sleep(9).then(() => outgoing.resume());
          return undefined;
        },
      });
      expectWhole(ran);
      expect(ran.result.sourceInfo.postcopy).toMatchObject({ recoveries: 1 });
      const { sourceInfo, destinationInfo } = ran.result;
      expect(destinationInfo.ram.multifdBytes).toBe(sourceInfo.ram.multifdBytes);
      // The first of the further ones is for what vCPUs wait for.
      expect(ran.batches.slice(2, 4).every((count) => count > 0)).toBe(mode === 'hybrid');
    },
  );
});

describe('multifd that loses a connection leaves the guest at the source', () => {
  const FATES: readonly [FrameFate, SternaError['code']][] = [
    ['cut', 'E_CHANNEL_RESET'],
    ['stall', 'E_CHANNEL_TIMEOUT'],
    ['drop', 'E_PROTOCOL_SEQUENCE'],
    ['duplicate', 'E_PROTOCOL_SEQUENCE'],
    ['corrupt', 'E_PROTOCOL_CHECKSUM'],
  ];
  test.each(FATES)('%s in the first pass', async (fate, code) => {
    const ran = await run({
      parameters: { stallTimeoutMs: 1000 },
      onFrame: ({ name, connection }) =>
        name === 'PAGE_BATCH' && connection === 2 ? fate : undefined,
    });
    expectHere(ran, code);
    expect(ran.result.sourceInfo.totalTimeMs).toBeLessThan(4000);
  });

  test.each(FATES)('%s among the last pages', async (fate, code) => {
    const ran = await run({
      parameters: { mode: 'stop', stallTimeoutMs: 1000 },
      stallTimeoutMs: 1000,
      onFrame: ({ name, connection }) =>
        name === 'PAGE_BATCH' && connection === 2 ? fate : undefined,
    });
    // There the destination knows first that something is missing.
    expectHere(ran, fate === 'stall' ? 'E_PAGE_MISSING' : code);
  });

  test('that it never got', async () => {
    const ran = await run({
      parameters: { multifdChannels: 4 },
      connect: (connection) => {
        if (connection === 3) throw new RangeError('nobody listens');
      },
    });
    expect(ran.result.source.status).toBe('failed');
    expect(ran.pair.runningMachines()).toEqual([ran.pair.machine]);
    expect(ran.batches.every((count) => count === 0)).toBe(true);
  });

  test('that nobody answers', async () => {
    const ran = await run({
      parameters: { stallTimeoutMs: 1000 },
      connect: (connection, _, signal) => (connection === 2 ? unanswered(signal) : undefined),
    });
    expectHere(ran, 'E_CHANNEL_TIMEOUT');
  });

  test('and hears a cancellation while connections are made, and while pages are under way', async () => {
    for (const during of ['JOIN', 'PAGE_BATCH']) {
      const ran = await run({
        link: { bandwidthBytesPerSecond: 4e6 },
        onFrame: ({ name }, { outgoing }) => {
          if (name === during) outgoing.cancel();
          return undefined;
        },
      });
      expect(ran.result.source.status).toBe('cancelled');
      expect(ran.pair.runningMachines()).toEqual([ran.pair.machine]);
    }
  });

  test('once more behind the last page, where it means nothing any more', async () => {
    const ran = await run({
      parameters: { multifdChannels: 1 },
      onFrame: ({ name }, pair) => {
        if (name === 'SWITCHOVER_ACK') void pair.clock.sleep(0.11).then(() => pair.cutLast());
        return undefined;
      },
    });
    expectWhole(ran);
  });
});

describe('a destination of multifd', () => {
  const join = (role: 'multifd', secret = PAIR_SECRET) =>
    encodeJoin({
      protocol: 1,
      software: 'stranger',
      role,
      uuid: FAKE_DESCRIPTION.uuid,
      migrationId: migrationIdOf(PAIR_SECRET),
      epoch: 2,
      secret,
    });

  async function joinedBy(
    options: PairOptions,
    when: SentFrame['name'],
    joins: number,
  ): Promise<{ ran: Run; answers: readonly string[] }> {
    const sinks: RecordingSink[] = [];
    const act = async (pair: EnginePair) => {
      for (let count = 0; count < joins; count += 1) {
        const channel = await pair.connect();
        const sink = new RecordingSink();
        channel.start(sink);
        sinks.push(sink);
        await channel.send(MESSAGE_TYPES.JOIN, join('multifd'));
      }
    };
    const ran = await run({
      ...options,
      onFrame: ({ name, nth, connection }, pair) => {
        if (name === when && nth === 1 && connection === 0) void act(pair);
        return undefined;
      },
    });
    return { ran, answers: sinks.map(({ frames }) => frames.map(nameOf).join(' ')) };
  }

  test('takes none where it was not agreed on', async () => {
    const off = { capabilities: { multifd: false }, link: { bandwidthBytesPerSecond: 4e6 } };
    const { ran, answers } = await joinedBy(off, 'PASS_BEGIN', 1);
    expectWhole(ran);
    expect(answers).toEqual(['ERROR']);
  });

  test('takes none behind the last page', async () => {
    const { ran, answers } = await joinedBy({ link: { latencyMs: 5 } }, 'SWITCHOVER_ACK', 1);
    expectWhole(ran);
    expect(answers).toEqual(['ERROR']);
  });

  test('takes no more than it has places for', async () => {
    const two = { parameters: { multifdChannels: 2 }, link: { bandwidthBytesPerSecond: 4e6 } };
    const { ran, answers } = await joinedBy(two, 'PASS_BEGIN', 15);
    expectWhole(ran);
    expect(answers.slice(0, 14)).toEqual(Array.from({ length: 14 }, () => 'ATTACHED'));
    expect(answers[14]).toBe('ERROR');
  });
});

test('multifd is refused where there is no way to another connection', async () => {
  const pair = new EnginePair({ capabilities: { multifd: true } });
  void pair.incoming.run();
  const { error } = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
  expect(error).toMatchObject({ code: 'E_CONFIG_INVALID', guestOwner: 'source' });
  expect(pair.runningMachines()).toEqual([pair.machine]);
});
