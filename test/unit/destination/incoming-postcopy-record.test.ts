import { describe, expect, test } from 'vitest';
import { IncomingPostcopyRecord } from '../../../src/destination/incoming-postcopy-record.ts';
import type { Machine } from '../../../src/guestmem/index.ts';

/** A guest of which a test says how long each vCPU has been blocked so far. */
class BlockedGuest {
  blockedMs = [0];

  get machine(): Machine {
    const statistics = () => ({
      vcpus: this.blockedMs.map((blockedMs) => ({ faults: 1, blockedMs, meanLatencyNs: 0 })),
      allBlockedMs: 0,
      latencyBuckets: [],
    });
    return { faults: { statistics } } as unknown as Machine;
  }
}

function started(): { readonly guest: BlockedGuest; readonly record: IncomingPostcopyRecord } {
  const guest = new BlockedGuest();
  return { guest, record: new IncomingPostcopyRecord(guest.machine, 100, 1000) };
}

describe('IncomingPostcopyRecord', () => {
  test('tells the share of its time that the guest was blocked, span by span', () => {
    const { guest, record } = started();
    guest.blockedMs = [80];
    record.sample(1100);
    guest.blockedMs = [90];
    record.sample(1200);
    expect(record.info(1200)).toMatchObject({ brownout: [0.8, 0.1], brownoutSpanMs: 100 });
  });

  test('a post-copy that is over within its first span has what the guest waited', () => {
    const { guest, record } = started();
    guest.blockedMs = [30, 10];
    record.sample(1080);
    record.end(1080);
    expect(record.info(5000)).toMatchObject({ brownout: [40 / 160], durationMs: 80 });
  });

  test('a last span of less than half belongs to the one before, by its time', () => {
    const { guest, record } = started();
    guest.blockedMs = [50];
    record.sample(1100);
    guest.blockedMs = [75];
    record.end(1125);
    expect(record.info(1125).brownout).toEqual([0.6]);
  });

  test('a last span of half or more stands by itself', () => {
    const { guest, record } = started();
    guest.blockedMs = [50];
    record.sample(1100);
    guest.blockedMs = [80];
    record.end(1160);
    expect(record.info(1160).brownout).toEqual([0.5, 0.5]);
  });

  test('one that ends as it starts has no share at all', () => {
    const { record } = started();
    record.end(1000);
    expect(record.info(1000).brownout).toEqual([]);
  });

  test('a long one is told in spans twice as long', () => {
    const { guest, record } = started();
    for (let span = 1; span <= 600; span += 1) {
      guest.blockedMs = [span * 50];
      record.sample(1000 + span * 100);
    }
    const { brownout, brownoutSpanMs } = record.info(61_000);
    expect([brownout.length, brownoutSpanMs]).toEqual([300, 200]);
    expect(brownout.every((share) => share === 0.5)).toBe(true);
  });
});
