import { describe, expect, test } from 'vitest';
import { ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely } from '../../support/guest-script.ts';
import { type PostcopyOptions, type PostcopyPair, postcopy } from '../../support/postcopy-pair.ts';

const WRITTEN = 60;

/** After two passes; the guest changes a few words of some pages again and again. */
const hybrid = {
  sourceHooks: {
    beforeFlip: (machine: PostcopyPair['machine'], flip: number) =>
      dirtySparsely(machine, flip, WRITTEN),
  },
  capabilities: { xbzrle: true },
  parameters: {
    mode: 'hybrid',
    downtimeLimitMs: 0,
    postcopyAfterPasses: 2,
    postcopyPlateau: 'off',
  },
} satisfies PostcopyOptions;

function expectWhole({ pair, result }: Awaited<ReturnType<typeof postcopy>>): void {
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(result.destination.status).toBe('completed');
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(result.sourceInfo.postcopy?.missingPages).toBe(WRITTEN);
}

/** That frame of the push, over the first connection. */
function atPush(nth: number, fate: 'cut' | 'corrupt'): PostcopyOptions {
  let pushed = 0;
  return {
    ...hybrid,
    onFrame: ({ name, connection }, pair) => {
      const isPushed = name === 'PAGE_BATCH' && pair.frames['b-to-a'].includes('POSTCOPY_RESUMED');
      if (!isPushed || connection > 0) return undefined;
      pushed += 1;
      return pushed === nth ? fate : undefined;
    },
  };
}

describe('missing pages that the destination had before', () => {
  test('go as the difference to what it had', async () => {
    const run = await postcopy(hybrid);
    expectWhole(run);
    expect(run.result.sourceInfo.verify.status).toBe('identical');
    expect(run.pair.pushedKinds).toEqual(new Array(WRITTEN).fill('XBZRLE'));
    expect(run.result.destinationInfo.postcopy?.duplicatePages).toBe(0);
    const { postcopyBytes } = run.result.sourceInfo.ram;
    expect(postcopyBytes).toBeLessThan(WRITTEN * 256);
  });

  test('are told also when they are what they were', async () => {
    const run = await postcopy({
      ...hybrid,
      sourceHooks: {
        // The same words again: dirty, and not changed.
        beforeFlip: (machine) => dirtySparsely(machine, 1, WRITTEN),
      },
    });
    expectWhole(run);
    expect(run.pair.pushedKinds).toEqual(new Array(WRITTEN).fill('XBZRLE'));
  });

  test('go whole to a vCPU that waits, or as a difference, and first in both cases', async () => {
    const wanted = [1, 64 + 5 * 40] as const;
    const run = await postcopy({
      ...hybrid,
      onFrame: ({ name }, pair) => {
        const ask = () => pair.clock.sleep(0.01).then(() => pair.arrived.access(...wanted));
        if (name === 'POSTCOPY_RESUMED') void ask();
        return undefined;
      },
    });
    expectWhole(run);
    expect(run.pair.arrived.faults.waiting()).toEqual([]);
  });

  test('go whole without the capability', async () => {
    const run = await postcopy({ ...hybrid, capabilities: { xbzrle: false } });
    expectWhole(run);
    expect(run.pair.pushedKinds).toEqual(new Array(WRITTEN).fill('RAW'));
  });

  test.each(['cut', 'corrupt'] as const)(
    'go whole over the connection that follows one with a frame that was %s',
    async (fate) => {
      const run = await postcopy(atPush(1, fate));
      expectWhole(run);
      const { pair, result } = run;
      expect(result.sourceInfo.postcopy?.recoveries).toBe(1);
      expect(pair.pushedKinds).not.toContain('RAW');
      const { raw, xbzrle } = result.sourceInfo.pageKinds;
      expect(raw?.pages).toBeGreaterThan(0);
      expect(xbzrle?.pages).toBeGreaterThan(0);
      expect(result.destinationInfo.postcopy?.duplicatePages).toBe(0);
    },
  );
});
