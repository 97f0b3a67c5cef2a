import { describe, expect, test } from 'vitest';
import { SternaError } from '../../../src/base/index.ts';
import { EnginePair, type PairOptions, RecordingLedger } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { dirtyWholly, fillGuest } from '../../support/guest-script.ts';
import { type PageAt, PostcopyPair } from '../../support/postcopy-pair.ts';

/** Ten bugs that other migration systems have had, each as a test here. */

const PAGE: PageAt = [1, 64 + 5 * 200];

/** A pair whose guest holds something in every block. */
function pairOf(options: PairOptions = {}): EnginePair {
  const pair = new EnginePair(options);
  if (options.source === undefined) fillGuest(pair.machine);
  return pair;
}

/** Cuts the link in the middle of the first pass. */
const CUT_IN_PASS_1: PairOptions = {
  onFrame: ({ name, nth }) => (name === 'PAGE_BATCH' && nth === 2 ? 'cut' : undefined),
};

describe('bugs that others had', () => {
  test('a second hop sends every page, not only those dirtied since the first (Propolis 232)', async () => {
    const first = pairOf();
    await first.run();
    const second = pairOf({ source: first.arrived, clock: first.clock });
    dirtyWholly(first.arrived, 1);
    const { source } = await second.run();
    expect(source.status).toBe('completed');
    expect(ramDifferences(first.arrived.memory, second.arrived.memory)).toEqual([]);
  });

  test('a retry sends every page, not only those dirtied since the failure (Propolis 616)', async () => {
    const first = pairOf(CUT_IN_PASS_1);
    expect((await first.run()).source.status).toBe('failed');
    const second = pairOf({ source: first.machine, clock: first.clock });
    expect((await second.run()).source.status).toBe('completed');
    expect(ramDifferences(first.machine.memory, second.arrived.memory)).toEqual([]);
  });

  test('a post-copy that has lost its link for good never resumes the stale source (CH 8890)', async () => {
    const pair = new PostcopyPair({
      onFrame: ({ name, nth }, { frames }) =>
        name === 'PAGE_BATCH' && frames['b-to-a'].includes('POSTCOPY_RESUMED') && nth > 3
          ? 'cut'
          : undefined,
      connect: () => {
        throw new SternaError('E_CHANNEL_REFUSED', 'Nobody is there');
      },
    });
    void pair.outgoing.run();
    void pair.incoming.run();
    await pair.clock.advance(600_000);
    expect(pair.outgoing.info().status).toMatch(/^postcopy-/);
    expect(pair.incoming.info().status).toBe('postcopy-paused');
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });

  test('a cancelled migration is not a success at the destination (CH 8485)', async () => {
    const pair = pairOf({
      onFrame: ({ name, nth }, { outgoing }) => {
        if (name === 'PAGE_BATCH' && nth === 2) outgoing.cancel();
        return undefined;
      },
    });
    const { source, destination } = await pair.run();
    expect([source.status, destination.status]).toEqual(['cancelled', 'cancelled']);
    expect(destination.error?.code).toBe('E_CANCELLED');
  });

  test('a failure at the last moment leaves the guest paused on neither side (Cyberus 83, CH 2895)', async () => {
    const pair = pairOf({
      destinationHooks: {
        beforeLoad: () => {
          throw new SternaError('E_MACHINE_STATE', 'No such device');
        },
      },
    });
    const { source } = await pair.run();
    expect(source.error).toMatchObject({ code: 'E_MACHINE_STATE', guestOwner: 'source' });
    expect(pair.runningMachines()).toEqual([pair.machine]);
    expect(pair.factory.destroyed).toEqual(pair.factory.created);
  });

  test('nothing is given up before the commit point (CH 7111)', async () => {
    const ledger = new RecordingLedger();
    const seen: string[] = [];
    const pair = pairOf({
      sourceLedger: ledger,
      onFrame: ({ name }, { runningMachines }) => {
        if (name === 'GRANT' || name === 'SWITCHOVER_ACK')
          seen.push(`${name}: ${ledger.states.at(-1)}, ${runningMachines.call(pair).length} run`);
        return undefined;
      },
    });
    expect((await pair.run()).source.status).toBe('completed');
    expect(seen.at(-1)).toBe('GRANT: granting 2, 0 run');
    expect(ledger.states.at(-1)).toBe('granted 2');
  });

  test('a source that stalls inside a message does not hang the destination (CH, Incus 2517)', async () => {
    const pair = pairOf({
      stallTimeoutMs: 2000,
      parameters: { stallTimeoutMs: 2000 },
      // Half of a frame arrives, and nothing behind it.
      link: { bandwidthBytesPerSecond: 2 ** 20, pieceBytes: () => 1000 },
      onFrame: ({ name, nth }) => (name === 'PAGE_BATCH' && nth === 2 ? 'stall' : undefined),
    });
    const { destination } = await pair.run();
    expect(destination.error?.code).toBe('E_CHANNEL_TIMEOUT');
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('what a failed migration leaves behind does not break the next one (Incus 4054)', async () => {
    const options: PairOptions = {
      capabilities: { 'postcopy-ram': true, 'postcopy-preempt': true },
      secret: '0123456789abcdef0123456789abcdef',
      connect: () => {},
    };
    const first = pairOf({ ...options, ...CUT_IN_PASS_1 });
    expect((await first.run()).source.status).toBe('failed');
    const { sourceLedger, destinationLedger, clock, machine } = first;
    const next = pairOf({ ...options, source: machine, clock, sourceLedger, destinationLedger });
    expect((await next.run()).source.status).toBe('completed');
    expect(next.runningMachines()).toEqual([next.arrived]);
  });

  test('a timeout is not begun anew whenever the remaining bytes dip (KubeVirt VEP 248)', async () => {
    const pair = pairOf({
      parameters: {
        downtimeLimitMs: 0,
        timeoutMs: 400,
        timeoutAction: 'cancel',
        maxBandwidthBytesPerSecond: 20e6,
      },
      // Every second pass leaves next to nothing, and the one after it everything.
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          dirtyWholly(machine, flip % 200, flip % 2 === 0 ? 1 : 300);
        },
      },
    });
    const { source, sourceInfo } = await pair.run();
    expect(source.error?.code).toBe('E_PRECOPY_TIMEOUT');
    expect(sourceInfo.totalTimeMs).toBeLessThan(1000);
  });

  test('a page that is asked for twice is sent once (CRIU 2455)', async () => {
    const pair = new PostcopyPair({
      onFrame: ({ name }, { clock }) => {
        if (name !== 'POSTCOPY_RESUMED') return undefined;
        void clock.sleep(0.01).then(() => {
          pair.arrived.access(...PAGE, 0);
          pair.arrived.access(...PAGE, 1);
        });
        return undefined;
      },
    });
    const { source, destinationInfo } = await pair.run();
    expect(source.status).toBe('completed');
    expect(pair.pushed.filter((page) => String(page) === String(PAGE))).toHaveLength(1);
    expect(destinationInfo.postcopy).toMatchObject({ requests: 1, duplicatePages: 0 });
  });
});
