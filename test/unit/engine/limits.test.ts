import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { EnginePair, type PairOptions } from '../../support/engine-pair.ts';
import type { FakeMachineHooks } from '../../support/fake-machine.ts';
import { dirtySparsely, dirtyWholly, fillGuest } from '../../support/guest-script.ts';

/** Rewrites so much in each pass that it never converges. */
const NEVER_CONVERGES: FakeMachineHooks = {
  beforeFlip: (machine, flip) => dirtyWholly(machine, flip, 60),
};
const FAST = { bandwidthBytesPerSecond: 1000e6, latencyMs: 0.05 };

const SLOW = { bandwidthBytesPerSecond: 10e6, latencyMs: 0.1 };
/** So small a guest is sent before the link has been measured. */
const ASSUMED = { availSwitchoverBandwidthBytesPerSecond: 10e6 };

function pairFor(options: PairOptions, pages = 300): EnginePair {
  const pair = new EnginePair({ link: FAST, ...options });
  fillGuest(pair.machine, pages);
  return pair;
}

describe('max-bandwidth', () => {
  test.each([2e6, 10e6, 40e6])(
    'max-bandwidth of %d bytes/s is kept within five per cent',
    async (limit) => {
      const pair = pairFor({ parameters: { maxBandwidthBytesPerSecond: limit } }, 600);
      await pair.run();
      const [first] = pair.outgoing.info().passes;
      const rate = (first!.sentBytes * 1000) / first!.durationMs;
      expect(rate).toBeGreaterThan(limit * 0.95);
      expect(rate).toBeLessThan(limit * 1.05);
    },
  );

  test('max-bandwidth can be raised while a migration runs', async () => {
    const pair = pairFor({ parameters: { maxBandwidthBytesPerSecond: 1e6 } });
    // At 1 MB/s the first pass would take more than a second.
    void pair.clock
      .sleep(200)
      .then(() => pair.outgoing.setParameters({ maxBandwidthBytesPerSecond: 100e6 }));
    await pair.run();
    const [first] = pair.outgoing.info().passes;
    expect(first!.durationMs).toBeGreaterThan(190);
    expect(first!.durationMs).toBeLessThan(230);
  });

  test('max-bandwidth can be lowered while a migration runs', async () => {
    const pair = pairFor({ parameters: { maxBandwidthBytesPerSecond: 10e6 } });
    void pair.clock
      .sleep(50)
      .then(() => pair.outgoing.setParameters({ maxBandwidthBytesPerSecond: 2e6 }));
    await pair.run();
    const [first] = pair.outgoing.info().passes;
    const atOldRate = 50 * 10e3;
    const expectedMs = 50 + (first!.sentBytes - atOldRate) / 2e3;
    expect(first!.durationMs).toBeGreaterThan(expectedMs * 0.95);
    expect(first!.durationMs).toBeLessThan(expectedMs * 1.05);
  });

  test('max-bandwidth is lifted while the guest stands still', async () => {
    const pair = pairFor({
      parameters: { maxBandwidthBytesPerSecond: 4e6, downtimeLimitMs: 20 },
      sourceHooks: { beforePause: (machine) => dirtyWholly(machine, 1, 250) },
    });
    await pair.run();
    const stopped = pair.outgoing.info().passes.at(-1)!;
    expect([stopped.stopped, stopped.dirtyPages]).toEqual([true, 250]);
    // A megabyte at the limit would take 250 ms.
    expect(stopped.durationMs).toBeLessThan(10);
  });
});

describe('downtime-limit', () => {
  test('downtime-limit decides after which pass the guest is paused', async () => {
    const sourceHooks: FakeMachineHooks = {
      beforeFlip: (machine, flip) => {
        if (flip > 1) dirtyWholly(machine, flip, Math.max(0, 200 - (flip - 2) * 30));
      },
    };
    const passesFor = async (downtimeLimitMs: number) => {
      const parameters = { downtimeLimitMs, ...ASSUMED };
      const pair = pairFor({ link: SLOW, sourceHooks, parameters });
      await pair.run();
      const { passes, downtimeMs } = pair.outgoing.info();
      expect(downtimeMs).toBeLessThan(downtimeLimitMs + 15);
      return passes.length;
    };
    // 200 pages are 82 ms of this link, and 30 pages 12 ms.
    expect(await passesFor(300)).toBe(2);
    expect(await passesFor(40)).toBeGreaterThan(5);
  });

  test('expected-downtime is what the last pages of a nearly empty guest take', async () => {
    const pair = pairFor({
      link: SLOW,
      parameters: ASSUMED,
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          if (flip === 2) dirtyWholly(machine, 2, 100);
        },
      },
    });
    await pair.run();
    const { expectedDowntimeMs, downtimeMs } = pair.outgoing.info();
    expect(Math.abs(expectedDowntimeMs! - downtimeMs!)).toBeLessThan(10);
    expect(downtimeMs).toBeGreaterThan(40);
  });
});

describe('timeout', () => {
  test('timeout with cancel gives up, and the guest goes on at the source', async () => {
    const pair = pairFor({
      sourceHooks: NEVER_CONVERGES,
      parameters: { downtimeLimitMs: 0, timeoutMs: 150, timeoutAction: 'cancel' },
    });
    const { source, destination, sourceInfo } = await pair.run();
    expect(source).toMatchObject({
      status: 'failed',
      error: { code: 'E_PRECOPY_TIMEOUT', guestOwner: 'source', detail: { timeoutMs: 150 } },
    });
    expect(destination).toMatchObject({ error: { code: 'E_PRECOPY_TIMEOUT', side: 'source' } });
    expect(sourceInfo.totalTimeMs).toBeGreaterThanOrEqual(150);
    expect(sourceInfo.totalTimeMs).toBeLessThan(200);
    // A flip disturbs the guest: even when there is next to nothing to send, there is one in 5 ms
    // at most.
    const shortest = Math.min(...sourceInfo.passes.map(({ durationMs }) => durationMs));
    expect(shortest).toBeGreaterThan(4.99);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('timeout with suspend pauses the guest and completes', async () => {
    const pair = pairFor({
      sourceHooks: NEVER_CONVERGES,
      parameters: { downtimeLimitMs: 0, timeoutMs: 150, timeoutAction: 'suspend' },
    });
    const { source, sourceInfo } = await pair.run();
    expect(source.status).toBe('completed');
    expect(sourceInfo.passes.at(-1)).toMatchObject({ stopped: true, dirtyPages: 60 });
    expect(sourceInfo.verify.status).toBe('identical');
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });

  test('timeout can be set while a migration runs', async () => {
    const pair = pairFor({ sourceHooks: NEVER_CONVERGES, parameters: { downtimeLimitMs: 0 } });
    void pair.clock.sleep(100).then(() => pair.outgoing.setParameters({ timeoutMs: 1 }));
    const { source, sourceInfo } = await pair.run();
    expect(source.status).toBe('completed');
    // The rest is the 100 ms for which the destination watches its guest.
    expect(sourceInfo.totalTimeMs).toBeLessThan(250);
  });
});

describe('xbzrle-cache-size', () => {
  test('xbzrle-cache-size bounds the cache, and conflicts are counted', async () => {
    const pair = pairFor({
      capabilities: { xbzrle: true },
      parameters: { downtimeLimitMs: 0, xbzrleCacheBytes: 8 * PAGE_BYTES },
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          if (flip > 1 && flip < 5) dirtySparsely(machine, flip, 60);
        },
      },
    });
    const { source, sourceInfo } = await pair.run();
    expect(source.status).toBe('completed');
    // 8 pages shared out by size: none for `low` and `rom` but the least, a set of two.
    expect(sourceInfo.xbzrle!.cacheBytes).toBeLessThanOrEqual(12 * PAGE_BYTES);
    expect(sourceInfo.xbzrle!.conflictPages).toBeGreaterThan(0);
    expect(sourceInfo.xbzrle!.hitPages).toBeGreaterThan(0);
  });
});
