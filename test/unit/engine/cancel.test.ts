import { describe, expect, test } from 'vitest';
import { defaultParameters, type MigrationParameters } from '../../../src/base/index.ts';
import type { IncomingLink } from '../../../src/destination/incoming-link.ts';
import { type MessageName, migrationIdOf } from '../../../src/protocol/index.ts';
import {
  EnginePair,
  PAIR_SECRET,
  type PairOptions,
  type PairResult,
  RecordingLedger,
} from '../../support/engine-pair.ts';
import { FAKE_DESCRIPTION, ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, fillGuest } from '../../support/guest-script.ts';

const LINK = { bandwidthBytesPerSecond: 20e6, latencyMs: 1 };

interface Cancelled {
  readonly pair: EnginePair;
  readonly result: PairResult;
  readonly answers: ('cancelling' | 'too-late')[];
}

/** Cancels in the moment in which the frame departs. */
async function cancelAt(
  name: MessageName,
  nth: number,
  direction: 'a-to-b' | 'b-to-a',
  options: PairOptions = {},
): Promise<Cancelled> {
  const answers: Cancelled['answers'] = [];
  const pair = new EnginePair({
    link: LINK,
    sourceLedger: new RecordingLedger(),
    destinationLedger: new RecordingLedger(),
    sourceHooks: { beforePause: (machine) => dirtySparsely(machine, 2, 40) },
    ...options,
    onFrame: (frame, current) => {
      if (frame.name === name && frame.nth === nth && frame.direction === direction) {
        answers.push(current.outgoing.cancel());
      }
      return undefined;
    },
  });
  fillGuest(pair.machine);
  return { pair, result: await pair.run(), answers };
}

function expectCancelled({ pair, result, answers }: Cancelled): void {
  expect(answers).toEqual(['cancelling']);
  expect(result.source).toMatchObject({
    status: 'cancelled',
    error: { code: 'E_CANCELLED', guestOwner: 'source' },
  });
  expect(result.destination.status).toBe('cancelled');
  expect(result.sourceInfo).toMatchObject({ status: 'cancelled', owner: 'source' });
  expect(pair.runningMachines()).toEqual([pair.machine]);
  expect(pair.factory.destroyed).toEqual(pair.factory.created);
}

test('an attempt that ends before the hand-over leaves the name by which the guest came here', async () => {
  const sourceLedger = new RecordingLedger();
  const uuid = FAKE_DESCRIPTION.uuid;
  const before = { uuid, epoch: 4, state: 'owner', migrationId: 'arrival', peer: 'x' } as const;
  await sourceLedger.write(before);
  expectCancelled(await cancelAt('PAGE_BATCH', 1, 'a-to-b', { sourceLedger }));
  // Who sent it here can still claim it.
  expect(sourceLedger.read(uuid)).toMatchObject({
    epoch: 4,
    state: 'owner',
    migrationId: 'arrival',
  });
});

test('a claim that comes while the proof is under way ends it, and the guest is known to be gone', async () => {
  const said: unknown[] = [];
  const channel = { end: async () => {} };
  const link = { give() {}, deafen() {}, send: (name: string) => said.push(name), channel };
  const pair: EnginePair = new EnginePair({
    link: LINK,
    onFrame: ({ name }) => {
      if (name !== 'RESUMED') return undefined;
      const { uuid } = FAKE_DESCRIPTION;
      const names = { uuid, migrationId: migrationIdOf(PAIR_SECRET), secret: PAIR_SECRET };
      const join = { protocol: 1, software: 'test', role: 'recover', ...names } as const;
      const claim = { ...join, epoch: 2, claimedEpoch: 3 };
      void pair.incoming.attach(claim, link as unknown as IncomingLink);
      return undefined;
    },
  });
  fillGuest(pair.machine);
  const { destination } = await pair.run();
  expect(destination).toMatchObject({ status: 'completed', hasYielded: true });
  expect(said).toEqual(['RECOVERY']);
  expect(pair.arrived.pauseReasons()).toEqual(['ownership']);
  expect(pair.destinationLedger.read(FAKE_DESCRIPTION.uuid)).toMatchObject({
    state: 'granted',
    epoch: 3,
  });
});

describe('cancel() at the destination', () => {
  async function cancelThereAt(name: MessageName, nth: number): Promise<Cancelled> {
    const answers: Cancelled['answers'] = [];
    const pair = new EnginePair({
      link: LINK,
      sourceLedger: new RecordingLedger(),
      destinationLedger: new RecordingLedger(),
      onFrame: (frame, current) => {
        if (frame.name === name && frame.nth === nth) answers.push(current.incoming.cancel());
        return undefined;
      },
    });
    fillGuest(pair.machine);
    return { pair, result: await pair.run(), answers };
  }

  test.each<[MessageName, number]>([
    ['HELLO_ACK', 1],
    ['PAGE_BATCH', 1],
    ['SWITCHOVER', 1],
    ['SWITCHOVER_ACK', 1],
    // It is on its way, and not there yet.
    ['GRANT', 1],
  ])('when %s departs leaves the guest at the source, which is told why', async (...at) => {
    const cancelled = await cancelThereAt(...at);
    expectCancelled(cancelled);
    const { source, sourceInfo } = cancelled.result;
    expect(source.error?.message).toContain('cancelled at the destination');
    expect(sourceInfo.error?.side).toBe('destination');
  });

  test('is too late when the guest was granted', async () => {
    const { pair, result, answers } = await cancelThereAt('RESUMED', 1);
    expect(answers).toEqual(['too-late']);
    expect(result.destination.status).toBe('completed');
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });
});

describe('cancel()', () => {
  test.each<[MessageName, number, 'a-to-b' | 'b-to-a']>([
    ['HELLO', 1, 'a-to-b'],
    ['HELLO_ACK', 1, 'b-to-a'],
    ['PING', 2, 'a-to-b'],
    ['PASS_BEGIN', 1, 'a-to-b'],
    ['PAGE_BATCH', 4, 'a-to-b'],
    ['PROGRESS', 2, 'b-to-a'],
    ['STOPPED', 1, 'a-to-b'],
    ['MACHINE_STATE', 1, 'a-to-b'],
    ['SWITCHOVER', 1, 'a-to-b'],
    ['SWITCHOVER_ACK', 1, 'b-to-a'],
  ])('cancel() at %s %i (%s) lets the guest go on at the source', async (name, nth, direction) => {
    const cancelled = await cancelAt(name, nth, direction);
    expectCancelled(cancelled);
    const { pair } = cancelled;
    expect(pair.frames['a-to-b'].at(-1)).toBe('CANCEL');
    expect(pair.frames['a-to-b']).not.toContain('GRANT');
    expect((pair.destinationLedger as RecordingLedger).states.at(-1)).toBe('abandoned 2');
  });

  test('cancel() during verify=strict lets the guest go on at the source', async () => {
    const parameters: Partial<MigrationParameters> = { verify: 'strict' };
    expectCancelled(await cancelAt('VERIFY_END', 1, 'a-to-b', { parameters }));
  });

  test('cancel() while pages are sent keeps the counters of what was sent', async () => {
    // Limited, so that the frame departs long before the last one is made.
    const parameters = { maxBandwidthBytesPerSecond: 10_000_000 };
    const { pair, result } = await cancelAt('PAGE_BATCH', 6, 'a-to-b', { parameters });
    const { ram } = result.sourceInfo;
    expect(ram.normalPages).toBe(pair.sourceChannel.truth.rawPages);
    expect(ram.normalPages).toBeGreaterThan(0);
    expect(ram.remainingBytes).toBeGreaterThan(0);
    expect(result.sourceInfo.verify.status).toBe('skipped');
    expect(result.destinationInfo.ram.normalPages).toBeGreaterThan(0);
  });

  test.each<[MessageName, 'a-to-b' | 'b-to-a']>([
    ['GRANT', 'a-to-b'],
    ['RESUMED', 'b-to-a'],
    ['VERIFY_HASHES', 'a-to-b'],
    ['GOODBYE', 'a-to-b'],
  ])('cancel() at %s (%s) is too late', async (name, direction) => {
    const { pair, result, answers } = await cancelAt(name, 1, direction);
    expect(answers).toEqual(['too-late']);
    expect(result.source.status).toBe('completed');
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });

  test('cancel() after the end is too late, and a second cancel changes nothing', async () => {
    const { pair, answers } = await cancelAt('PAGE_BATCH', 4, 'a-to-b');
    expect([pair.outgoing.cancel(), ...answers]).toEqual(['too-late', 'cancelling']);
    expect(pair.outgoing.info().status).toBe('cancelled');
  });

  test.each<MessageName>(['PAGE_BATCH', 'STOPPED', 'MACHINE_STATE'])(
    'cancel() on a link that takes nothing from %s on lets the guest go on at once',
    async (name) => {
      let pausedAtMs = Number.NaN;
      const pair = new EnginePair({
        link: { ...LINK, bufferBytes: 1 },
        sourceHooks: {
          beforePause: (machine) => {
            pausedAtMs = pair.clock.nowMs();
            dirtySparsely(machine, 1);
          },
        },
        onFrame: (frame, current) => {
          if (frame.name !== name) return undefined;
          void current.clock.sleep(50).then(() => current.outgoing.cancel());
          return 'stall';
        },
      });
      fillGuest(pair.machine);
      const running = pair.clock.sleep(1).then(() => pair.outgoing.run());
      const incoming = pair.incoming.run();
      // Until the cancel, and no longer: neither the stall timeout nor the farewell is waited for.
      await pair.clock.advance(name === 'PAGE_BATCH' ? 100 : 2000);
      expect(pair.runningMachines()).toEqual([pair.machine]);
      if (name !== 'PAGE_BATCH') expect(pausedAtMs).toBeGreaterThan(5000);
      const outcome = await pair.clock.runUntil(
        Promise.race([running, pair.clock.sleep(20_000).then(() => undefined)]),
      );
      expect(outcome).toMatchObject({ status: 'cancelled', error: { guestOwner: 'source' } });
      await pair.clock.runUntil(Promise.race([incoming, pair.clock.sleep(20_000)]));
    },
  );
});

describe('a second attempt', () => {
  test.each<[MessageName]>([['PAGE_BATCH'], ['MACHINE_STATE'], ['SWITCHOVER']])(
    'after a cancel at %s moves all of RAM',
    async (name) => {
      const first = await cancelAt(name, 1, 'a-to-b', { capabilities: { xbzrle: true } });
      dirtySparsely(first.pair.machine, 7);
      const second = new EnginePair({
        clock: first.pair.clock,
        source: first.pair.machine,
        sourceLedger: first.pair.sourceLedger,
        destinationLedger: first.pair.destinationLedger,
        capabilities: { xbzrle: true },
        link: LINK,
      });
      const result = await second.run();
      expect(result.source.status).toBe('completed');
      expect(result.sourceInfo.verify.status).toBe('identical');
      expect(ramDifferences(first.pair.machine.memory, second.arrived.memory)).toEqual([]);
      expect(result.destinationInfo.epoch).toBe(2);
    },
  );

  test('after a lost link moves all of RAM', async () => {
    const first = new EnginePair({
      link: LINK,
      onFrame: ({ name, nth }) => (name === 'PAGE_BATCH' && nth === 4 ? 'cut' : undefined),
    });
    fillGuest(first.machine);
    expect((await first.run()).source.status).toBe('failed');
    const second = new EnginePair({
      clock: first.clock,
      source: first.machine,
      sourceLedger: first.sourceLedger,
      destinationLedger: first.destinationLedger,
      link: LINK,
    });
    expect((await second.run()).source.status).toBe('completed');
    expect(ramDifferences(first.machine.memory, second.arrived.memory)).toEqual([]);
  });
});

test('parameters of a migration are its own', async () => {
  const parameters = { ...defaultParameters(), downtimeLimitMs: 0 };
  const pair = new EnginePair({ parameters });
  pair.outgoing.setParameters({ downtimeLimitMs: 5 });
  expect(parameters.downtimeLimitMs).toBe(0);
});

/** The guest ends itself in the moment in which the frame departs. */
async function endAt(name: MessageName, direction: 'a-to-b' | 'b-to-a', options: PairOptions = {}) {
  const pair = new EnginePair({
    link: LINK,
    ...options,
    onFrame: (frame, current) => {
      if (frame.name === name && frame.direction === direction) current.outgoing.guestEnded();
      return undefined;
    },
  });
  fillGuest(pair.machine);
  return { pair, result: await pair.run() };
}

test.each([
  ['HELLO', 'a-to-b'],
  ['HELLO_ACK', 'b-to-a'],
  ['SWITCHOVER_ACK', 'b-to-a'],
] as const)(
  'a guest that ends at %s fails its migration on both sides',
  async (name, direction) => {
    const { pair, result } = await endAt(name, direction);
    const ended = { code: 'E_GUEST_ENDED', guestOwner: 'source' };
    expect(result.source).toMatchObject({ status: 'failed', error: ended });
    expect(result.destination).toMatchObject({ status: 'failed', error: ended });
    expect(result.destinationInfo.error?.detail).toMatchObject({ remote: true });
    expect(pair.factory.destroyed).toEqual(pair.factory.created);
  },
);

test.each(['precopy', 'postcopy'] as const)(
  'a guest that has ended before GRANT (%s) is given away as it is: it ends there',
  async (mode) => {
    const { pair, result } = await endAt('GRANT', 'a-to-b', { parameters: { mode } });
    expect(result.source.status).toBe('completed');
    expect(result.destination.status).toBe('completed');
    expect(pair.runningMachines()).toEqual(pair.factory.created);
  },
);
