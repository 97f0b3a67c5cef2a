import { describe, expect, test } from 'vitest';
import { SternaError, volatileLedger } from '../../../src/base/index.ts';
import type { Channel } from '../../../src/channel/index.ts';
import { type FrameHeader, MESSAGE_TYPES, type MessageName } from '../../../src/protocol/index.ts';
import { JournalPair, type JournalPairOptions } from '../../support/journal-pair.ts';

/** A migration of its own for each message. */
const PREFIXES_LIMIT_MS = 60_000;

const JOURNAL: readonly MessageName[] = ['JOURNAL_PAGES', 'JOURNAL_STATE', 'JOURNAL_POINT'];

/** Cuts the link in place of the `nth` message of the journal, counted over all of its names. */
function cutAt(nth: number): JournalPair {
  let count = 0;
  return new JournalPair({
    onFrame: ({ direction, name }) => {
      if (direction === 'a-to-b' || !JOURNAL.includes(name)) return undefined;
      count += 1;
      return count === nth ? 'cut' : 'deliver';
    },
  });
}

/** RECOVERED and the header behind it come with one read, as a socket may bring them. */
function joinReads(channel: Channel): Channel {
  const start = channel.start.bind(channel);
  channel.start = (sink) => {
    let held: (() => void) | undefined;
    const release = () => {
      held?.();
      held = undefined;
    };
    start({
      place: (header) => {
        release();
        return sink.place(header);
      },
      frame: (header: FrameHeader, body) => {
        if (header.type !== MESSAGE_TYPES.RECOVERED) return sink.frame(header, body);
        const copy = body.slice();
        held = () => sink.frame(header, copy);
      },
      closed: (error) => sink.closed(error),
    });
  };
  return channel;
}

describe('the journal of post-copy', () => {
  test('brings each point to the source, and the proof compares the RAM of the switch', async () => {
    const journal = new JournalPair();
    const { source, destination, sourceInfo, destinationInfo } = await journal.pair.run();
    expect(source).toEqual({ status: 'completed', error: undefined });
    expect(destination.status).toBe('completed');
    expect(sourceInfo.verify).toMatchObject({ status: 'identical', pages: 4096 });
    expect(journal.applied).toBeGreaterThan(2);
    expect(journal.pointAtSource()).toBe(journal.applied - 1);
    const { pages, bytes } = sourceInfo.postcopy!.journal!;
    // The last page may have overtaken the answer to the last point.
    const known = destinationInfo.postcopy!.journal!.points;
    expect(journal.applied - known).toBeLessThanOrEqual(1);
    expect(destinationInfo.postcopy?.journal?.recentPausesMs.length).toBe(journal.points.length);
    expect(pages).toBeGreaterThan(journal.applied * 20);
    expect(bytes).toBeLessThan(pages * 4200);
    expect(journal.pair.runningMachines()).toEqual([journal.pair.arrived]);
  });

  test('is not sent when it was not agreed on', async () => {
    const journal = new JournalPair({ capabilities: { 'x-postcopy-journal': false } });
    const { sourceInfo } = await journal.pair.run();
    const { frames } = journal.pair;
    expect(frames['b-to-a'].filter((name) => JOURNAL.includes(name))).toEqual([]);
    expect(sourceInfo.postcopy?.journal).toBeUndefined();
    expect(journal.pointAtSource()).toBe(-1);
  });

  test(
    'leaves exactly a whole point at the source wherever the link is cut',
    async () => {
      const whole = new JournalPair();
      await whole.pair.run();
      const sent = whole.pair.frames['b-to-a'].filter((name) => JOURNAL.includes(name)).length;
      expect(sent).toBeGreaterThan(9);
      const found = new Set<number>();
      for (let nth = 1; nth <= sent; nth += 1) {
        const journal = cutAt(nth);
        await journal.runUntil('postcopy-paused');
        expect(journal.pair.outgoing.info().status).toBe('postcopy-paused');
        expect(journal.pointAtSource(), `cut at message ${nth}`).toBe(journal.applied - 1);
        found.add(journal.applied);
      }
      // Every number of whole points was met, none of them included.
      expect([...found]).toEqual(Array.from({ length: whole.applied }, (_, index) => index));
    },
    PREFIXES_LIMIT_MS,
  );

  test('makes no more points when one would not fit the buffer', async () => {
    const journal = new JournalPair({
      dirtyPages: 100,
      parameters: { postcopyJournalBufferBytes: 40 * 4096 },
    });
    const { source, destinationInfo } = await journal.pair.run();
    expect(source.status).toBe('completed');
    const { isOverfull, points } = destinationInfo.postcopy!.journal!;
    expect(isOverfull).toBe(true);
    expect(journal.applied).toBe(points);
    expect(journal.pointAtSource()).toBe(points - 1);
  });

  test.each<[string, MessageName, number]>([
    ['was lost in the push', 'PAGE_BATCH', 12],
    ['was lost at GRANT, and is adopted behind a record', 'POSTCOPY_RESUMED', 1],
  ])('goes on right behind RECOVERED over a link that %s', async (_, name, nth) => {
    const ledger = volatileLedger();
    const options: JournalPairOptions = {
      connect: () => {},
      onFrame: (frame) => (frame.name === name && frame.nth === nth ? 'cut' : undefined),
      sourceLedger: {
        read: (uuid) => ledger.read(uuid),
        // Longer than the destination needs for its first pages.
        write: (record) => journal.pair.clock.sleep(200).then(() => ledger.write(record)),
      },
    };
    const journal: JournalPair = new JournalPair(options);
    const { pair } = journal;
    const connect = pair.connect.bind(pair);
    pair.connect = async (signal) => joinReads(await connect(signal));
    const { source, sourceInfo } = await pair.run();
    expect(source).toEqual({ status: 'completed', error: undefined });
    expect(sourceInfo.postcopy?.recoveries).toBe(1);
    expect(pair.connections).toBe(2);
    expect(journal.applied).toBeGreaterThan(2);
    expect(journal.pointAtSource()).toBe(journal.applied - 1);
  });

  test('ends when its pause fails, which leaves no reason to stand still, and says why', async () => {
    let checkpoints = 0;
    const journal = new JournalPair({
      beforeCheckpoint: (machine) => {
        checkpoints += 1;
        if (checkpoints !== 3) return;
        // As a vCPU that does not come to its safepoint: it is asked to, and the wait ends.
        machine.reasons.add('checkpoint');
        throw new SternaError('E_WORKER_DIED', 'A vCPU does not answer');
      },
    });
    const { source, destinationInfo } = await journal.pair.run();
    expect(source.status).toBe('completed');
    expect(checkpoints).toBe(3);
    expect(journal.applied).toBe(2);
    expect(journal.pair.arrived.pauseReasons()).toEqual([]);
    expect(destinationInfo.postcopy?.journal).toMatchObject({
      points: 2,
      isOverfull: false,
      error: { code: 'E_WORKER_DIED', message: 'A vCPU does not answer' },
    });
  });

  test('touches the machine no more when the migration is over', async () => {
    let isPausing = false;
    const journal: JournalPair = new JournalPair({
      // Longer than what is left of the migration.
      beforeCheckpoint: async () => {
        isPausing = true;
        await journal.pair.clock.sleep(5_000);
        isPausing = false;
      },
    });
    const { destination } = await journal.pair.run();
    expect(destination.status).toBe('completed');
    expect(journal.pair.clock.nowMs()).toBeGreaterThan(10_000);
    expect(isPausing).toBe(false);
    const { arrived, clock } = journal.pair;
    const [flips, history] = [arrived.flipCount, [...arrived.history]];
    await clock.advance(10_000);
    expect(arrived.flipCount).toBe(flips);
    expect(arrived.history).toEqual(history);
    expect(arrived.isRunning).toBe(true);
  });

  test('touches the machine no more when it is destroyed', async () => {
    let isPausing = false;
    const journal: JournalPair = new JournalPair({
      connect: () => {},
      beforeCheckpoint: async () => {
        isPausing = true;
        await journal.pair.clock.sleep(5_000);
        isPausing = false;
      },
    });
    await journal.runUntil('postcopy-active');
    const { clock, outgoing, factory } = journal.pair;
    while (!isPausing) await clock.advance(1);
    outgoing.pauseLink();
    await clock.advance(1);
    const taken = outgoing.takeBack();
    const epoch = await clock.runUntil(taken, 60_000);
    void journal.pair.claim(epoch);
    await clock.advance(2_000);
    expect(isPausing).toBe(true);
    expect(factory.destroyed.length).toBe(0);
    await clock.advance(4_000);
    expect(factory.destroyed.length).toBe(1);
  });
});
