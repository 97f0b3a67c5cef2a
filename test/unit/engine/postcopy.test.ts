import { describe, expect, test } from 'vitest';
import { ramDifferences } from '../../support/fake-machine.ts';
import { dirtyWholly } from '../../support/guest-script.ts';
import {
  type PageAt,
  type PostcopyOptions,
  type PostcopyPair,
  postcopy,
} from '../../support/postcopy-pair.ts';

/** In the middle of the large block; `fillGuest` leaves gaps of four pages around it. */
const WANTED: PageAt = [1, 64 + 5 * 200];
/** Held by the guest as zeros. */
const ZEROED: PageAt = [0, 5 + 24];

/** Does something as soon as the guest runs at the destination. */
function whenResumed(act: (pair: PostcopyPair) => void): PostcopyOptions {
  return {
    onFrame: ({ name }, pair) => {
      // Not in the middle of what the destination does now.
      const resumed = name === 'POSTCOPY_RESUMED';
      if (resumed) void pair.clock.sleep(0.01).then(() => act(pair as PostcopyPair));
      return undefined;
    },
  };
}

function expectWhole({ pair, result }: Awaited<ReturnType<typeof postcopy>>): void {
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(result.destination.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(result.sourceInfo.verify).toMatchObject({ status: 'identical', pages: 4096 });
  expect(result.sourceInfo.postcopy?.remainingPages).toBe(0);
  expect(result.destinationInfo.postcopy?.remainingPages).toBe(0);
  expect(pair.runningMachines()).toEqual([pair.arrived]);
}

describe('OutgoingMigration in mode postcopy', () => {
  test('hands the guest over before any page with contents, and then sends each once', async () => {
    const run = await postcopy();
    expectWhole(run);
    const { pair, result } = run;
    const missing = result.sourceInfo.postcopy?.missingPages ?? 0;
    expect(missing).toBeGreaterThan(200);
    expect(pair.pushed).toHaveLength(missing);
    expect(new Set(pair.pushed.map(String)).size).toBe(missing);
    expect(result.sourceInfo).toMatchObject({ postcopy: { requests: 0, recoveries: 0 } });
    expect(pair.arrived.history).toContain('postcopy on');
    expect(pair.arrived.history.at(-1)).toBe('postcopy off');
  });

  test('sends a page that a vCPU waits for ahead of all others, then its neighbours', async () => {
    const run = await postcopy(whenResumed(({ arrived }) => arrived.access(...WANTED)));
    expectWhole(run);
    const { pair, result } = run;
    // Two frames may be under way when the request comes.
    const order = pair.orderOf(WANTED);
    expect(order).toBeGreaterThanOrEqual(0);
    const next = pair.pushed.slice(order + 1).filter(([block]) => block === WANTED[0]);
    const near = next.findIndex(([, pfn]) => Math.abs(pfn - WANTED[1]) <= 10);
    const far = next.findIndex(([, pfn]) => Math.abs(pfn - WANTED[1]) > 600);
    expect(near).toBeGreaterThanOrEqual(0);
    expect(near).toBeLessThan(far);
    expect(result.sourceInfo.postcopy?.requests).toBe(1);
    expect(result.destinationInfo.postcopy).toMatchObject({ requests: 1 });
  });

  test('goes on ascending with order sequential, whatever is asked for', async () => {
    const run = await postcopy({
      ...whenResumed(({ arrived }) => arrived.access(...WANTED)),
      parameters: { postcopyOrder: 'sequential' },
    });
    expectWhole(run);
    const { pushed } = run.pair;
    const others = pushed.filter((page) => String(page) !== String(WANTED));
    const ascending = [...others].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    expect(others).toEqual(ascending);
    expect(run.pair.orderOf(WANTED)).toBeLessThan(ascending.length - 50);
  });

  test('is asked once for a page that two vCPUs wait for', async () => {
    const run = await postcopy(
      whenResumed(({ arrived }) => {
        expect(arrived.access(...WANTED, 0)).toBe(false);
        expect(arrived.access(...WANTED, 1)).toBe(false);
      }),
    );
    expectWhole(run);
    const { pair, result } = run;
    expect(pair.frames['b-to-a'].filter((name) => name === 'PAGE_REQUEST')).toHaveLength(1);
    expect(pair.arrived.faults.waiting()).toEqual([]);
    expect(result.sourceInfo.postcopy?.blocktime?.vcpuBlockedMs.every((ms) => ms > 0)).toBe(true);
  });

  test('lets nobody wait for a page of zeros', async () => {
    let wasThere = false;
    const run = await postcopy(
      whenResumed(({ arrived }) => {
        wasThere = arrived.access(...ZEROED) && arrived.access(0, 900);
      }),
    );
    expectWhole(run);
    expect(wasThere).toBe(true);
    expect(run.pair.orderOf(ZEROED)).toBe(-1);
  });

  test('pushes the pages of a guest that stays paused', async () => {
    const { pair, result } = await postcopy({ startPaused: true });
    expect(result.source.status).toBe('completed');
    expect(pair.arrived.pauseReasons()).toEqual(['operator']);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });

  test('cannot be cancelled once the guest was handed over', async () => {
    const answers: string[] = [];
    const run = await postcopy(
      whenResumed(({ outgoing, clock }) => {
        answers.push(outgoing.cancel());
        void clock.sleep(1).then(() => answers.push(outgoing.cancel()));
      }),
    );
    expectWhole(run);
    expect(answers).toEqual(['too-late', 'too-late']);
  });

  test('refuses strict verification before anything moves', async () => {
    const { pair, result } = await postcopy({ parameters: { verify: 'strict' } });
    expect(result.source).toMatchObject({
      error: { code: 'E_CONFIG_INVALID', guestOwner: 'source' },
    });
    expect(pair.factory.created).toEqual([]);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('is not promised for the timeout of pre-copy when it was not enabled', async () => {
    const { pair, result } = await postcopy({
      parameters: { mode: 'precopy', timeoutMs: 1, timeoutAction: 'postcopy' },
    });
    expect(result.source.error?.code).toBe('E_CONFIG_INVALID');
    expect(pair.factory.created).toEqual([]);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('sends requested pages over a second connection with postcopy-preempt', async () => {
    const connections: number[] = [];
    const run = await postcopy({
      capabilities: { 'postcopy-preempt': true },
      onFrame: ({ name, connection }, pair) => {
        const wait = () => pair.clock.sleep(0.01).then(() => pair.arrived.access(...WANTED));
        if (name === 'POSTCOPY_RESUMED') void wait();
        if (name === 'PAGE_BATCH' && pair.frames['b-to-a'].includes('PAGE_REQUEST'))
          connections.push(connection);
        return undefined;
      },
    });
    expectWhole(run);
    expect(run.pair.orderOf(WANTED)).toBe(-1);
    expect(connections.filter((connection) => connection === 1)).toHaveLength(1);
    expect(run.pair.connections).toBe(2);
    // The channels' own counters are the truth.
    const { sourceChannel, further } = run.pair;
    const sentBytes = [sourceChannel, ...further].reduce((sum, one) => sum + one.sentBytes, 0);
    expect(run.result.sourceInfo.ram.transferredBytes).toBe(sentBytes);
    expect(run.result.destinationInfo.ram.transferredBytes).toBe(sentBytes);
  });
});

describe('OutgoingMigration in mode hybrid', () => {
  const busy = {
    // So much that pre-copy alone never ends within the limit.
    sourceHooks: {
      beforeFlip: (machine: PostcopyPair['machine'], flip: number) =>
        dirtyWholly(machine, flip, 60),
    },
  } satisfies PostcopyOptions;
  const hybrid = {
    mode: 'hybrid',
    downtimeLimitMs: 1,
    postcopyAfterPasses: 0,
    postcopyPlateau: 'off',
  } as const;

  function passesOf({ pair }: Awaited<ReturnType<typeof postcopy>>): number {
    return pair.frames['a-to-b'].filter((name) => name === 'PASS_BEGIN').length;
  }

  test('goes over after so many passes', async () => {
    const run = await postcopy({ ...busy, parameters: { ...hybrid, postcopyAfterPasses: 3 } });
    expectWhole(run);
    expect(passesOf(run)).toBe(3);
    // Written after the third pass had begun, and nothing else.
    expect(run.result.sourceInfo.postcopy?.missingPages).toBe(60);
  });

  test('goes over when a pass leaves no less than the one before', async () => {
    const run = await postcopy({ ...busy, parameters: { ...hybrid, postcopyPlateau: 'on' } });
    expectWhole(run);
    expect(passesOf(run)).toBe(2);
  });

  test('goes over at its timeout when that is its action', async () => {
    const timeout = { timeoutMs: 60, timeoutAction: 'postcopy' } as const;
    const run = await postcopy({ ...busy, parameters: { ...hybrid, ...timeout } });
    expectWhole(run);
    expect(passesOf(run)).toBeGreaterThan(1);
  });

  test('goes over on command in the middle of the first pass', async () => {
    const run = await postcopy({
      ...busy,
      // Small frames, and time between them.
      parameters: { ...hybrid, maxBandwidthBytesPerSecond: 10e6 },
      onFrame: ({ name, nth }, { outgoing }) => {
        if (name === 'PAGE_BATCH' && nth === 12) outgoing.startPostcopy();
        return undefined;
      },
    });
    expectWhole(run);
    expect(passesOf(run)).toBe(1);
    expect(run.result.sourceInfo.postcopy?.missingPages).toBeGreaterThan(100);
  });

  test.each([5, 6, 7, 8])(
    'pushes though what came before was not acknowledged when the command came at frame %i',
    async (at) => {
      const { pair, result } = await postcopy({
        link: { latencyMs: 0.1 },
        // Nobody asks for a page, whose answer would be acknowledged.
        startPaused: true,
        parameters: { ...hybrid, maxBandwidthBytesPerSecond: 40e6 },
        onFrame: ({ name, nth }, { outgoing }) => {
          if (name === 'PAGE_BATCH' && nth === at) outgoing.startPostcopy();
          return undefined;
        },
      });
      expect(result.source.status).toBe('completed');
      expect(pair.pushed.length).toBeGreaterThan(100);
    },
  );

  test('needs no post-copy when pre-copy converges, and is not asked for it in vain', async () => {
    const { pair, result } = await postcopy({ parameters: { ...hybrid, downtimeLimitMs: 5000 } });
    expect(result.source.status).toBe('completed');
    expect(pair.frames['a-to-b']).not.toContain('MISSING_MAP');
    expect(pair.frames['b-to-a']).toContain('RESUMED');
  });
});
