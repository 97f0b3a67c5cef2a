import { describe, expect, test } from 'vitest';
import { type MigrationParameters, PAGE_BYTES, Random } from '../../../src/base/index.ts';
import { EnginePair, type PairOptions, type PairResult } from '../../support/engine-pair.ts';
import { type FakeMachine, ramDifferences } from '../../support/fake-machine.ts';
import { fillGuest } from '../../support/guest-script.ts';

const FAST = { bandwidthBytesPerSecond: 1000e6, latencyMs: 0.05 };
/** Of a guest so small more would be under way than it has, were it the link that is slow. */
const LIMIT_BYTES_PER_SECOND = 4e6;
const PAGES = 800;
const HOT_FIRST = 400;
const HOT_PAGES = 40;
const WRITE_EVERY_MS = 2;

/**
 * A guest that writes while time passes: two of its hot pages every 2 ms, so each of them every
 * 40 ms, and one of all pages now and then.
 */
async function write(pair: EnginePair, endMs: number, random: Random): Promise<void> {
  const { machine, clock } = pair;
  for (let turn = 0; clock.nowMs() < endMs; turn += 1) {
    await clock.sleep(WRITE_EVERY_MS);
    if (!machine.isRunning) return;
    for (const page of [2 * turn, 2 * turn + 1])
      touch(machine, HOT_FIRST + (page % HOT_PAGES), turn);
    if (turn % 25 === 0) touch(machine, random.below(PAGES), turn);
  }
}

function touch(machine: FakeMachine, pfn: number, turn: number): void {
  machine.write(1, pfn, (turn % 64) * 64, Uint8Array.of(turn & 255, 1, 2, 3));
}

function fillWithNoise(machine: FakeMachine, seed: number): void {
  const random = new Random(seed);
  for (let pfn = 0; pfn < PAGES; pfn += 1) {
    machine.write(
      1,
      pfn,
      0,
      Uint8Array.from({ length: PAGE_BYTES }, () => random.below(256)),
    );
  }
}

interface Run {
  readonly pair: EnginePair;
  readonly result: PairResult;
}

async function migrate(
  parameters: Partial<MigrationParameters>,
  xbzrle: boolean,
  options: PairOptions = {},
  during?: (pair: EnginePair) => Promise<void>,
): Promise<Run> {
  const pair = new EnginePair({
    link: FAST,
    capabilities: { xbzrle },
    ...options,
    parameters: {
      maxBandwidthBytesPerSecond: LIMIT_BYTES_PER_SECOND,
      downtimeLimitMs: 5,
      verify: 'strict',
      // It never ends pre-copy before a limit: what is looked at is what the passes send.
      policy: 'qemu',
      ...parameters,
    },
  });
  fillWithNoise(pair.machine, 3);
  void write(pair, pair.clock.nowMs() + 60_000, new Random(5));
  void during?.(pair);
  const result = await pair.run();
  expect(result.source.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  return { pair, result };
}

function sentBytes({ result }: Run): number {
  return result.sourceInfo.passes.reduce((sum, pass) => sum + pass.sentBytes, 0);
}

describe('x-reorder', () => {
  test('sends fewer bytes to a guest with hot pages than ascending passes do', async () => {
    const limits = { timeoutMs: 4000, timeoutAction: 'suspend' } as const;
    const ascending = await migrate({ ...limits, reorder: 'off' }, false);
    const ordered = await migrate({ ...limits, reorder: 'on' }, false);
    expect(ascending.result.sourceInfo.passes.some((pass) => pass.syncs > 0)).toBe(false);
    expect(ordered.result.sourceInfo.passes[0]!.syncs).toBeGreaterThan(5);
    expect(ordered.result.sourceInfo.passes[1]!.dirtyPages).toBeLessThan(
      ascending.result.sourceInfo.passes[1]!.dirtyPages,
    );
    expect(sentBytes(ordered)).toBeLessThan(sentBytes(ascending));
  });

  test('sends hot pages at the end of the first pass, each of them once', async () => {
    const { pair, result } = await migrate({ reorder: 'on' }, true);
    const [first] = result.sourceInfo.passes;
    // Nothing is sent twice in a pass, whatever is written, and nothing is left out.
    expect(first!.rawPages).toBe(first!.dirtyPages);
    expect(first!.rawPages).toBe(PAGES);
    expect(first!.writtenPages).toBeGreaterThanOrEqual(HOT_PAGES);
    expect(first!.writtenPages).toBeGreaterThan(first!.dirtiedPages);
    expect(pair.machine.flipCount).toBeGreaterThan(result.sourceInfo.ram.dirtySyncCount);
  });

  test.each(['on', 'off'] as const)(
    '%s: figures of a pass agree with those of the next',
    async (reorder) => {
      const { result } = await migrate({ reorder, downtimeLimitMs: 1, timeoutMs: 3000 }, true);
      const { passes, ram } = result.sourceInfo;
      for (const [index, pass] of passes.entries()) {
        const next = passes[index + 1];
        if (next === undefined) break;
        if (!next.stopped) expect(next.dirtyPages).toBe(pass.dirtiedPages);
        const handled = pass.sentPages + pass.unchangedPages;
        if (index > 0) expect(handled).toBe(pass.dirtyPages);
        expect(pass.writtenPages).toBeGreaterThanOrEqual(pass.dirtiedPages);
      }
      // Two pages in 2 ms, three in one turn of a short pass; each counts once in a pass.
      expect(ram.dirtyPagesPerSecond).toBeGreaterThan(0);
      expect(ram.dirtyPagesPerSecond).toBeLessThan(2000);
    },
  );

  test('ends though every page is written again all the time', async () => {
    const pair = new EnginePair({
      link: FAST,
      parameters: {
        maxBandwidthBytesPerSecond: LIMIT_BYTES_PER_SECOND,
        downtimeLimitMs: 0,
        timeoutMs: 1500,
        verify: 'strict',
      },
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          for (let pfn = 0; pfn < PAGES; pfn += 1) touch(machine, pfn, flip);
        },
      },
    });
    fillWithNoise(pair.machine, 4);
    const { source, sourceInfo } = await pair.run();
    expect(source.status).toBe('completed');
    // The pages at which the pass began, and the last ones while the guest stood still.
    expect(sourceInfo.passes.every((pass) => pass.sentPages <= 4096)).toBe(true);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });
});

describe('priming', () => {
  test.each(['on', 'off'] as const)(
    'with x-reorder %s, what was hot in the first pass goes as deltas in the second',
    async (reorder) => {
      const { result } = await migrate({ reorder, downtimeLimitMs: 1, timeoutMs: 3000 }, true);
      const { passes, xbzrle } = result.sourceInfo;
      expect(xbzrle!.primedPages).toBeGreaterThan(HOT_PAGES / 2);
      // Far fewer than the guest has: cold pages take no places.
      expect(xbzrle!.primedPages).toBeLessThan(PAGES / 4);
      expect(passes[1]!.xbzrlePages).toBeGreaterThan(HOT_PAGES / 2);
      expect(xbzrle!.savedBytes).toBeGreaterThan(passes[1]!.xbzrlePages * 3500);
    },
  );

  test('of a cache smaller than the hot pages every place is taken', async () => {
    const { result } = await migrate({ xbzrleCacheBytes: 2 ** 16, timeoutMs: 2000 }, true);
    expect(result.sourceInfo.xbzrle!.cacheBytes).toBeLessThanOrEqual(2 ** 16);
    expect(result.sourceInfo.xbzrle!.hitPages).toBeGreaterThan(0);
  });
});

describe('xbzrle-cache-size', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'changes while pages are sent, and RAM arrives intact (seed %d)',
    async (seed) => {
      const random = new Random(seed);
      let resizes = 0;
      const { result } = await migrate(
        {
          xbzrleCacheWays: seed % 2 === 0 ? '1' : '2',
          reorder: seed % 3 === 0 ? 'off' : 'on',
          xbzrleCacheBytes: 2 ** 18,
          downtimeLimitMs: 0,
          timeoutMs: 2500,
        },
        true,
        {},
        async (pair) => {
          while (pair.machine.isRunning) {
            await pair.clock.sleep(random.below(40));
            pair.outgoing.setParameters({ xbzrleCacheBytes: 2 ** (12 + random.below(12)) });
            resizes += 1;
          }
        },
      );
      expect(resizes).toBeGreaterThan(50);
      expect(result.sourceInfo.xbzrle!.hitPages).toBeGreaterThan(100);
      expect(result.sourceInfo.verify.status).toBe('identical');
    },
  );

  test('shows its size at once, and keeps what fits', async () => {
    const sizes: (number | undefined)[] = [];
    const { result } = await migrate(
      { xbzrleCacheBytes: 2 ** 22, downtimeLimitMs: 0, timeoutMs: 2500 },
      true,
      {},
      async (pair) => {
        await pair.clock.sleep(1500);
        pair.outgoing.setParameters({ xbzrleCacheBytes: 2 ** 21 });
        sizes.push(pair.outgoing.info().xbzrle?.cacheBytes);
        const { missPages } = pair.outgoing.info().xbzrle!;
        await pair.clock.sleep(300);
        // The forty hot pages went on hitting.
        sizes.push(pair.outgoing.info().xbzrle!.missPages - missPages);
      },
    );
    expect(sizes[0]).toBeLessThanOrEqual(2 ** 21);
    expect(sizes[0]).toBeGreaterThan(2 ** 20);
    expect(sizes[1]).toBeLessThan(20);
    expect(result.sourceInfo.xbzrle!.ghosts.map(({ cacheBytes }) => cacheBytes)).toHaveLength(5);
  });

  test('means nothing to a migration without the capability', async () => {
    const { pair, result } = await migrate({ timeoutMs: 500 }, false, {}, async (pair) => {
      await pair.clock.sleep(100);
      pair.outgoing.setParameters({ xbzrleCacheBytes: 2 ** 21 });
    });
    expect(result.sourceInfo.xbzrle).toBeUndefined();
    expect(pair.machine.block(1).cache.capacityPages).toBe(0);
  });
});

test('ghosts tell that a larger cache would hit, and a smaller one would not', async () => {
  const pair = new EnginePair({
    link: { bandwidthBytesPerSecond: 40e6, latencyMs: 0.1 },
    capabilities: { xbzrle: true },
    parameters: { xbzrleCacheBytes: 2 ** 20, downtimeLimitMs: 0, timeoutMs: 2000, reorder: 'off' },
    sourceHooks: {
      beforeFlip: (machine, flip) => {
        for (let pfn = 0; pfn < PAGES; pfn += 1) touch(machine, pfn, flip);
      },
    },
  });
  fillGuest(pair.machine, 1);
  fillWithNoise(pair.machine, 6);
  const { sourceInfo } = await pair.run();
  const { ghosts, cacheBytes, hitPages, missPages } = sourceInfo.xbzrle!;
  const [quarter, half, same, twice, fourfold] = ghosts.map(({ hitRate }) => hitRate);
  const hitRate = hitPages / (hitPages + missPages);
  expect(ghosts[2]!.cacheBytes).toBe(cacheBytes);
  // 800 pages in turn, of which the cache holds some two hundred.
  expect(Math.abs(same! - hitRate)).toBeLessThan(0.1);
  expect(quarter!).toBeLessThan(half!);
  expect(half!).toBeLessThan(same!);
  expect(same!).toBeLessThan(twice!);
  expect(fourfold!).toBeGreaterThan(0.8);
});
