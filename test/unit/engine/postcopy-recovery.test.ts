import { describe, expect, test } from 'vitest';
import {
  type MigrationInfo,
  type OwnershipLedger,
  type OwnershipRecord,
  volatileLedger,
} from '../../../src/base/index.ts';
import type { FrameFate } from '../../../src/channel/index.ts';
import type { MessageName } from '../../../src/protocol/index.ts';
import { type PairResult, RecordingLedger, unanswered } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { type PostcopyOptions, PostcopyPair, postcopy } from '../../support/postcopy-pair.ts';

type Run = { readonly pair: PostcopyPair; readonly result: PairResult };

function expectWhole({ pair, result }: Run): void {
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(result.destination.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(pair.runningMachines()).toEqual([pair.arrived]);
}

/** The `nth` frame of that name meets its fate; those before it go through. */
function fateAt(name: MessageName, nth: number, fate: FrameFate = 'cut'): PostcopyOptions {
  return { onFrame: (frame) => (frame.name === name && frame.nth === nth ? fate : undefined) };
}

/** Cut in the middle of the push, and once more at that frame. */
function cutAgainAt(name: MessageName): PostcopyOptions {
  let isBroken = false;
  return {
    onFrame: (frame, pair) => {
      const first =
        frame.name === 'PAGE_BATCH' && pair.frames['b-to-a'].includes('POSTCOPY_RESUMED');
      if (!isBroken && first && frame.connection === 0) {
        isBroken = true;
        return 'cut';
      }
      return frame.connection === 1 && frame.name === name ? 'cut' : undefined;
    },
  };
}

/** Does something in the middle of the push, once. */
function duringPush(act: (pair: PostcopyPair) => void): PostcopyOptions {
  let isDone = false;
  return {
    onFrame: ({ name, direction }, pair) => {
      const pushes = pair.frames['b-to-a'].filter((other) => other === 'PROGRESS').length;
      const resumed = pair.frames['b-to-a'].includes('POSTCOPY_RESUMED');
      if (isDone || !resumed || direction !== 'b-to-a' || name !== 'PROGRESS' || pushes < 4)
        return undefined;
      isDone = true;
      void pair.clock.sleep(0).then(() => act(pair as PostcopyPair));
      return undefined;
    },
  };
}

describe('OutgoingMigration comes back after the link was lost in post-copy', () => {
  test.each<MessageName>([
    ...(['JOIN', 'RECOVERY', 'RECEIVED_MAP', 'RECOVERED', 'PAGE_BATCH'] as const),
    ...(['PROGRESS', 'POSTCOPY_END', 'ALL_RECEIVED'] as const),
  ])('and once more, lost at %s', async (name) => {
    const run = await postcopy(cutAgainAt(name));
    expectWhole(run);
    const { pair, result } = run;
    expect(pair.connections).toBe(3);
    expect(result.destinationInfo.postcopy?.duplicatePages).toBe(0);
    // It counts those that both sides heard of.
    expect(result.sourceInfo.postcopy?.recoveries).toBeGreaterThan(0);
  });

  test('without the pages that came before a bad one in a damaged frame', async () => {
    const damaged = await postcopy({
      onFrame: ({ name, connection }, pair) => {
        const resumed = pair.frames['b-to-a'].includes('POSTCOPY_RESUMED');
        const pages = pair.frames['a-to-b'].filter((other) => other === 'PAGE_BATCH').length;
        return connection === 0 && resumed && name === 'PAGE_BATCH' && pages > 4
          ? 'corrupt'
          : undefined;
      },
    });
    expectWhole(damaged);
    expect(damaged.result.sourceInfo.postcopy?.recoveries).toBe(1);
    expect(damaged.result.destinationInfo.postcopy?.duplicatePages).toBe(0);
  });

  test('and asks again for what vCPUs wait for', async () => {
    const run = await postcopy({
      onFrame: ({ name, connection }, pair) => {
        const wait = () => pair.clock.sleep(0.01).then(() => pair.arrived.access(1, 1064));
        if (name === 'POSTCOPY_RESUMED') void wait();
        return name === 'PAGE_REQUEST' && connection === 0 ? 'cut' : undefined;
      },
    });
    expectWhole(run);
    expect(run.pair.arrived.faults.waiting()).toEqual([]);
    expect(run.pair.frames['b-to-a'].filter((name) => name === 'PAGE_REQUEST')).toHaveLength(2);
  });

  test('that a user has paused only when it is told to', async () => {
    const seen: (readonly [number, MigrationInfo['status']])[] = [];
    const run = await postcopy(
      duringPush(({ outgoing, clock }) => {
        outgoing.pauseLink();
        void clock.sleep(9000).then(() => {
          seen.push([clock.nowMs(), outgoing.info().status]);
          outgoing.resume();
        });
      }),
    );
    expectWhole(run);
    expect(seen.map(([, status]) => status)).toEqual(['postcopy-paused']);
    expect(run.pair.connections).toBe(2);
  });

  test('with x-auto-recover off only when it is told to', async () => {
    const run = await postcopy({
      parameters: { autoRecover: 'off' },
      ...duringPush((pair) => {
        pair.cutLast();
        void pair.clock.sleep(9000).then(() => {
          expect(pair.connections).toBe(1);
          pair.outgoing.resume();
        });
      }),
    });
    expectWhole(run);
  });

  test.each(['on', 'off'] as const)(
    'at once when it is told to during an attempt at a dead address, with x-auto-recover %s',
    async (autoRecover) => {
      const told: number[] = [];
      const tried: (readonly [connection: number, ms: number])[] = [];
      const run = await postcopy({
        parameters: { autoRecover },
        ...duringPush((pair) => {
          const { clock, outgoing } = pair;
          const resume = () => {
            told.push(clock.nowMs());
            outgoing.resume();
          };
          pair.cutLast();
          void clock.sleep(300).then(resume);
          // In the middle of that attempt.
          void clock.sleep(2_000).then(resume);
        }),
        connect: (_, { clock }, signal) => {
          tried.push([told.length, clock.nowMs()]);
          return told.length < 2 ? unanswered(signal) : undefined;
        },
      });
      expectWhole(run);
      expect(tried.at(-1)).toEqual([2, told[1]]);
    },
  );

  test.each(['on', 'off'] as const)(
    'no more when it is given up during an attempt, with x-auto-recover %s',
    async (autoRecover) => {
      const taken: number[] = [];
      const pair = new PostcopyPair({
        parameters: { autoRecover },
        ...duringPush((running) => {
          const { clock, outgoing } = running;
          running.cutLast();
          void clock.sleep(300).then(() => outgoing.resume());
          void clock.sleep(2_000).then(async () => {
            expect(outgoing.info().status).toBe('postcopy-recover-setup');
            const atMs = clock.nowMs();
            await outgoing.takeBack();
            taken.push(clock.nowMs() - atMs);
          });
        }),
        connect: (_, __, signal) => unanswered(signal),
      });
      void pair.incoming.run();
      const { status, error } = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
      expect([status, error?.code, error?.guestOwner]).toEqual([
        'failed',
        'E_TAKEN_BACK',
        'source',
      ]);
      expect(taken).toEqual([0]);
      expect(pair.machine.isRunning).toBe(true);
    },
  );

  test('not while it is held, also when an attempt was due', async () => {
    const tried: number[] = [];
    let heldAtMs = 0;
    const run = await postcopy({
      ...duringPush((pair) => {
        const { clock, outgoing } = pair;
        pair.cutLast();
        void clock.sleep(50).then(() => {
          heldAtMs = clock.nowMs();
          outgoing.pauseLink();
        });
        void clock.sleep(9_000).then(() => outgoing.resume());
      }),
      connect: (_, { clock }) => void tried.push(clock.nowMs() - heldAtMs),
    });
    expectWhole(run);
    expect(tried).toEqual([8_950]);
  });

  test('when it was the second connection', async () => {
    const run = await postcopy({
      capabilities: { 'postcopy-preempt': true },
      ...duringPush((pair) => pair.cutLast()),
    });
    expectWhole(run);
    expect(run.result.sourceInfo.postcopy?.recoveries).toBe(1);
    // The first two, and again two.
    expect(run.pair.connections).toBe(4);
  });

  test('however often nobody answers at first', async () => {
    const run = await postcopy({
      ...duringPush((pair) => pair.cutLast()),
      connect: (connection, { clock }) => {
        if (connection > 0 && clock.nowMs() < 20_000) throw new Error('nobody listens');
      },
    });
    expectWhole(run);
  });
});

describe('OutgoingMigration asks who has the guest when the link is lost around GRANT', () => {
  test('and goes on here: the destination abandoned it', async () => {
    const ledger = new RecordingLedger();
    const { pair, result } = await postcopy({ ...fateAt('GRANT', 1), destinationLedger: ledger });
    expect(result.source).toMatchObject({ status: 'failed', error: { guestOwner: 'source' } });
    expect(pair.runningMachines()).toEqual([pair.machine]);
    expect(ledger.states.at(-1)).toBe('abandoned 2');
  });

  test('and waits for an operator when the destination knows nothing of it', async () => {
    let isRestarted = false;
    const ledger = volatileLedger();
    const pair = new PostcopyPair({
      ...fateAt('POSTCOPY_RESUMED', 1),
      destinationLedger: {
        write: (record) => ledger.write(record),
        read: (uuid) => (isRestarted ? undefined : ledger.read(uuid)),
      },
      isRestarted: () => isRestarted,
      connect: () => {
        isRestarted = true;
      },
    });
    void pair.incoming.run();
    const running = pair.outgoing.run();
    await pair.clock.advance(30_000);
    expect(pair.outgoing.info()).toMatchObject({
      status: 'postcopy-paused',
      owner: 'unknown',
      postcopy: { waitsForResume: true, pausedError: { code: 'E_RECOVERY_REFUSED' } },
    });
    const taken = pair.outgoing.takeBack();
    expect(await pair.clock.runUntil(taken, 1_000)).toBe(3);
    expect((await running).error).toMatchObject({ code: 'E_TAKEN_BACK', guestOwner: 'source' });
    expect(pair.machine.isRunning).toBe(true);
  });

  test('and goes on there with the pages that are missing', async () => {
    const run = await postcopy(fateAt('POSTCOPY_RESUMED', 1));
    expectWhole(run);
    expect(run.pair.frames['b-to-a']).toContain('RECOVERED');
    expect(run.pair.connections).toBe(2);
  });

  test('and knows that a guest that came whole runs there', async () => {
    const run = await postcopy({ ...fateAt('RESUMED', 1), parameters: { mode: 'precopy' } });
    expectWhole(run);
    expect(run.result.sourceInfo.verify.status).toBe('skipped');
  });

  test.each<[string, OwnershipRecord['state'] | undefined, object]>([
    ['died with its process', 'lost', { error: { code: 'E_GUEST_LOST', guestOwner: 'unknown' } }],
    ['went on from there', 'granted', { status: 'completed' }],
    ['is interrupted there', 'owner', { error: { code: 'E_GUEST_LOST' } }],
  ])('and hears from a new process that the guest %s', async (_, state, expected) => {
    let isRestarted = false;
    const disk = new RecordingLedger();
    const ledger: OwnershipLedger = {
      write: (record) => disk.write(record),
      read: (uuid) => {
        const written = disk.read(uuid);
        if (!isRestarted || disk.written.at(-1)?.state === 'lost') return written;
        return state && written && { ...written, state };
      },
    };
    const pair = new PostcopyPair({
      ...fateAt('POSTCOPY_RESUMED', 1),
      destinationLedger: ledger,
      isRestarted: () => isRestarted,
      connect: () => {
        isRestarted = true;
      },
    });
    // The process that was there is gone: nobody waits for it.
    void pair.incoming.run();
    const outcome = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
    expect(outcome).toMatchObject(expected);
    expect(pair.machine.isRunning).toBe(false);
  });
});
