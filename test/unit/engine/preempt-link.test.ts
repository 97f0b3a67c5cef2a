import { describe, expect, test } from 'vitest';
import type { FrameFate } from '../../../src/channel/index.ts';
import { type EnginePair, type SentFrame, unanswered } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { PostcopyPair, postcopy } from '../../support/postcopy-pair.ts';

const capabilities = { 'postcopy-preempt': true };
type Run = Awaited<ReturnType<typeof postcopy>>;

function expectWhole({ pair, result }: Run): void {
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(result.destination.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(result.destinationInfo.postcopy?.duplicatePages).toBe(0);
}

/** A vCPU waits for a page that would be among the last to come. */
function want(pair: EnginePair): void {
  void pair.clock.sleep(0.01).then(() => pair.arrived.access(1, 1064));
}

/** The link breaks in the middle of the push. */
function cutInPush({ name, nth, connection }: SentFrame): FrameFate | undefined {
  return name === 'PAGE_BATCH' && connection === 0 && nth > 4 ? 'cut' : undefined;
}

describe('PreemptLink', () => {
  test('that falls silent alone is noticed within the stall timeout', async () => {
    const run = await postcopy({
      capabilities,
      onFrame: ({ name, connection }, pair) => {
        if (name === 'POSTCOPY_RESUMED') want(pair);
        return connection === 1 && name === 'PAGE_BATCH' ? 'stall' : undefined;
      },
    });
    expectWhole(run);
    expect(run.pair.arrived.faults.waiting()).toEqual([]);
    expect(run.result.sourceInfo.postcopy?.recoveries).toBe(1);
    // Silence, a ping that notices it, and the recovery.
    expect(run.result.sourceInfo.totalTimeMs).toBeLessThan(2_000);
  });

  test('counts at the destination when it was lost, too', async () => {
    const run = await postcopy({
      capabilities,
      onFrame: ({ name, connection }, pair) => {
        if (name === 'POSTCOPY_RESUMED') want(pair);
        // Behind the page that was waited for.
        return connection === 1 && name === 'PING' ? 'cut' : undefined;
      },
      // So slow that a ping comes before the end.
      parameters: { maxPostcopyBandwidthBytesPerSecond: 1e6 },
    });
    expectWhole(run);
    const { destinationChannel, furtherThere } = run.pair;
    const channels = [destinationChannel, ...furtherThere];
    const bytes = channels.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    expect(run.pair.connections).toBe(4);
    expect(run.result.destinationInfo.ram.transferredBytes).toBe(bytes);
  });
});

describe('OutgoingMigration does without a second connection after a recovery', () => {
  test.each<[string, (pair: PostcopyPair, signal: AbortSignal) => Promise<void> | undefined]>([
    [
      'that nobody takes',
      () => {
        throw new RangeError('nobody listens');
      },
    ],
    ['whose host does not answer', (_, signal) => unanswered(signal)],
  ])('%s', async (_, refuse) => {
    const seen: (string | undefined)[] = [];
    const run = await postcopy({
      capabilities,
      parameters: { maxPostcopyBandwidthBytesPerSecond: 400_000 },
      onFrame: cutInPush,
      connect: (connection, pair, signal) => {
        if (connection < 3) return undefined;
        const { clock, outgoing } = pair;
        const error = () => outgoing.info().postcopy?.preemptError?.code;
        void clock.sleep(1_100).then(() => seen.push(error()));
        return refuse(pair as PostcopyPair, signal);
      },
    });
    expectWhole(run);
    expect(run.result.sourceInfo.postcopy?.recoveries).toBe(1);
    expect(seen).toHaveLength(1);
    expect(['E_CHANNEL_TIMEOUT', 'E_CHANNEL_RESET']).toContain(seen[0]);
  });

  test('that the destination takes, and whose answer does not come', async () => {
    const run = await postcopy({
      capabilities,
      parameters: { maxPostcopyBandwidthBytesPerSecond: 400_000 },
      onFrame: (frame) => {
        if (frame.connection === 3 && frame.name === 'ATTACHED') return 'stall';
        return cutInPush(frame);
      },
    });
    expectWhole(run);
    expect(run.result.sourceInfo.postcopy).toMatchObject({
      recoveries: 1,
      preemptError: { code: 'E_CHANNEL_TIMEOUT' },
    });
    expect(run.pair.connections).toBe(4);
  });

  test('while it is made: pages come, and what ends the link is heard', async () => {
    const pair = new PostcopyPair({
      capabilities,
      parameters: { maxPostcopyBandwidthBytesPerSecond: 400_000, stallTimeoutMs: 20_000 },
      onFrame: cutInPush,
      connect: (connection, { clock, outgoing }, signal) => {
        if (connection < 3) return undefined;
        const before = outgoing.info().postcopy?.remainingPages ?? 0;
        void clock.sleep(200).then(() => {
          expect(outgoing.info().postcopy?.remainingPages).toBeLessThan(before);
          outgoing.pauseLink();
        });
        void clock.sleep(201).then(() => {
          expect(outgoing.info().status).toBe('postcopy-paused');
          expect(signal.aborted).toBe(true);
          return outgoing.takeBack();
        });
        return unanswered(signal);
      },
    });
    void pair.incoming.run();
    const { error } = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
    expect(error?.code).toBe('E_TAKEN_BACK');
    expect(pair.outgoing.info().postcopy?.preemptError).toBeUndefined();
    expect(pair.machine.isRunning).toBe(true);
  });
});

test('a cancellation is heard while the second connection is made at set-up', async () => {
  let cancelledAtMs = 0;
  const pair = new PostcopyPair({
    capabilities,
    connect: (_, { clock, outgoing }, signal) => {
      void clock.sleep(100).then(() => {
        cancelledAtMs = clock.nowMs();
        outgoing.cancel();
      });
      return unanswered(signal);
    },
  });
  void pair.incoming.run();
  const { status } = await pair.clock.runUntil(pair.outgoing.run(), 60_000);
  expect(status).toBe('cancelled');
  expect(pair.clock.nowMs() - cancelledAtMs).toBeLessThan(10);
  expect(pair.runningMachines()).toEqual([pair.machine]);
});
