import { describe, expect, test } from 'vitest';
import {
  type OwnershipLedger,
  type OwnershipState,
  SternaError,
  volatileLedger,
} from '../../../src/base/index.ts';
import type { MessageName } from '../../../src/protocol/index.ts';
import type { Spill } from '../../../src/source/index.ts';
import { RecordingLedger } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { type PostcopyOptions, PostcopyPair, postcopy } from '../../support/postcopy-pair.ts';

/** Longer than the stall timeout of the pair, and than its tries. */
const OUTAGE_MS = 30_000;

/** The link breaks at that message, and there is no way to the destination for a while. */
function outageAt(name: MessageName, outageMs = OUTAGE_MS): PostcopyOptions {
  let sinceMs: number | undefined;
  return {
    onFrame: (frame, { clock }) => {
      if (frame.name !== name || frame.connection > 0) return undefined;
      sinceMs = clock.nowMs();
      return 'cut';
    },
    connect: (_, { clock }) => {
      if (clock.nowMs() - (sinceMs ?? 0) < outageMs) throw new RangeError('nobody listens');
    },
  };
}

class CountingSpill implements Spill {
  readonly path = 'memory:spill';
  writes = 0;
  removals = 0;

  async write(): Promise<void> {
    this.writes += 1;
  }

  async remove(): Promise<void> {
    this.removals += 1;
  }
}

/** What is known in the middle of the outage. */
function during(pair: PostcopyPair, look: () => void): void {
  void pair.clock.sleep(OUTAGE_MS / 2).then(look);
}

describe('OutgoingMigration in post-copy, in doubt for longer than the stall timeout', () => {
  test.each(['on', 'off'] as const)(
    'goes on with a guest that runs there, with x-auto-recover %s',
    async (autoRecover) => {
      const spill = new CountingSpill();
      const pair = new PostcopyPair({
        ...outageAt('POSTCOPY_RESUMED'),
        parameters: { autoRecover },
        spill,
      });
      const seen: unknown[] = [];
      during(pair, () => {
        const { status, owner, postcopy: now } = pair.outgoing.info();
        seen.push([status, owner, now?.waitsForResume, spill.writes, spill.removals]);
      });
      const result = await pair.run();
      expect(seen).toEqual([['postcopy-paused', 'unknown', false, 1, 0]]);
      expect(result.source).toEqual({ status: 'completed', error: undefined });
      expect(result.sourceInfo).toMatchObject({
        owner: 'destination',
        postcopy: { recoveries: 1 },
      });
      expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
      expect(pair.runningMachines()).toEqual([pair.arrived]);
      expect([spill.writes, spill.removals]).toEqual([1, 1]);
    },
  );

  test('at once when it is told to resume', async () => {
    let isMended = false;
    const tried: number[] = [];
    const pair = new PostcopyPair({
      ...outageAt('POSTCOPY_RESUMED'),
      connect: () => {
        if (!isMended) throw new RangeError('nobody listens');
      },
    });
    during(pair, () => {
      const before = pair.connections;
      isMended = true;
      pair.outgoing.resume();
      void pair.clock.sleep(0).then(() => tried.push(pair.connections - before));
    });
    const { source } = await pair.run();
    expect(source.status).toBe('completed');
    expect(tried).toEqual([1]);
  });

  test('runs the guest here when GRANT never came, and leaves no spill', async () => {
    const spill = new CountingSpill();
    const { pair, result } = await postcopy({ ...outageAt('GRANT'), spill });
    expect(result.source).toMatchObject({
      status: 'failed',
      error: { code: 'E_CHANNEL_RESET', guestOwner: 'source' },
    });
    expect(pair.runningMachines()).toEqual([pair.machine]);
    expect([spill.writes, spill.removals]).toEqual([1, 1]);
  });

  test('gives the guest back to an operator, and claims it', async () => {
    const pair = new PostcopyPair(outageAt('POSTCOPY_RESUMED'));
    const taken: number[] = [];
    during(pair, () => void pair.outgoing.takeBack().then((epoch) => taken.push(epoch)));
    void pair.incoming.run();
    const { error } = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
    expect(error).toMatchObject({ code: 'E_TAKEN_BACK', guestOwner: 'source' });
    expect(taken).toEqual([3]);
    // The operator was wrong: both run until they can talk.
    expect(pair.runningMachines()).toEqual([pair.machine, pair.arrived]);
    await pair.clock.runUntil(pair.claim(3), 120_000);
    await pair.clock.advance(10);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });
});

describe('OutgoingMigration.learnOwner() behind E_OWNERSHIP_UNKNOWN', () => {
  /** Runs until nobody knows, and then as long as it takes to learn it. */
  async function learn(pair: PostcopyPair, signal = new AbortController().signal) {
    void pair.incoming.run();
    const { error } = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
    expect(error?.code).toBe('E_OWNERSHIP_UNKNOWN');
    expect(pair.machine.isRunning).toBe(false);
    await pair.clock.runUntil(pair.outgoing.learnOwner(signal), 600_000);
    expect(pair.published.at(-1)).toEqual(pair.outgoing.info());
    return pair.outgoing.info();
  }
  const precopy = { mode: 'precopy' } as const;

  test('completes a migration whose guest runs there', async () => {
    const ledger = new RecordingLedger();
    const pair = new PostcopyPair({
      ...outageAt('RESUMED'),
      parameters: precopy,
      sourceLedger: ledger,
    });
    expect(await learn(pair)).toMatchObject({
      status: 'completed',
      owner: 'destination',
      epoch: 2,
      error: undefined,
      verify: { status: 'skipped' },
    });
    expect(pair.runningMachines()).toEqual([pair.arrived]);
    expect(ledger.states.at(-1)).toBe('granted 2');
  });

  test('runs the guest here when GRANT never came', async () => {
    const pair = new PostcopyPair({ ...outageAt('GRANT'), parameters: precopy });
    expect(await learn(pair)).toMatchObject({
      status: 'failed',
      owner: 'source',
      epoch: 1,
      error: { code: 'E_CHANNEL_RESET', guestOwner: 'source' },
    });
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('does not run it before that is on disk, and tries that again', async () => {
    const disk = volatileLedger();
    const refused: OwnershipState[] = [];
    let isFull = false;
    const ledger: OwnershipLedger = {
      read: (uuid) => disk.read(uuid),
      write: async (record) => {
        if (record.state === 'granting') isFull = true;
        else if (isFull && refused.length < 2) {
          refused.push(record.state);
          throw new SternaError('E_STATE_DIRECTORY', 'No space left on device');
        }
        await disk.write(record);
      },
    };
    const way = outageAt('GRANT');
    const pair = new PostcopyPair({ ...way, parameters: precopy, sourceLedger: ledger });
    expect(await learn(pair)).toMatchObject({ status: 'failed', owner: 'source' });
    expect(refused).toEqual(['owner', 'owner']);
    expect(disk.read(pair.machine.description.uuid)).toMatchObject({ state: 'owner', epoch: 1 });
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('learns that the guest died there', async () => {
    let isRestarted = false;
    const way = outageAt('RESUMED');
    const pair = new PostcopyPair({
      ...way,
      parameters: precopy,
      isRestarted: () => isRestarted,
    });
    void pair.clock.sleep(OUTAGE_MS / 2).then(() => {
      isRestarted = true;
    });
    expect(await learn(pair)).toMatchObject({
      status: 'failed',
      owner: 'unknown',
      error: { code: 'E_GUEST_LOST' },
    });
    expect(pair.machine.isRunning).toBe(false);
  });

  test('ends when an operator decides', async () => {
    const operator = new AbortController();
    const pair = new PostcopyPair({ ...outageAt('RESUMED', 1e9), parameters: precopy });
    void pair.clock.sleep(OUTAGE_MS).then(() => operator.abort());
    expect(await learn(pair, operator.signal)).toMatchObject({
      owner: 'unknown',
      error: { code: 'E_OWNERSHIP_UNKNOWN' },
    });
  });

  test('has nothing to ask after any other end', async () => {
    const { pair } = await postcopy({ parameters: precopy });
    const before = pair.connections;
    await pair.outgoing.learnOwner(new AbortController().signal);
    expect(pair.connections).toBe(before);
  });
});
