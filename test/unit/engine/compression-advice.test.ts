import { describe, expect, test } from 'vitest';
import type { Advice, MigrationInfo } from '../../../src/base/index.ts';
import { EnginePair, type PairOptions } from '../../support/engine-pair.ts';
import type { FakeMachine, FakeMachineHooks } from '../../support/fake-machine.ts';
import { fillGuest, pageOfNoise } from '../../support/guest-script.ts';

/** 2000 raw pages are 820 ms of it: more than the limit on downtime of 300 ms. */
const LINK = { bandwidthBytesPerSecond: 10e6, latencyMs: 0.1 };
const HOT_PAGES = 2000;
/** Ends a migration that does not converge, with what was diagnosed last. */
const GIVES_UP = { timeoutMs: 8000, timeoutAction: 'cancel' } as const;

type Change = (machine: FakeMachine, round: number, pfn: number) => void;

/** A word in a page of noise. */
const aWord: Change = (machine, round, pfn) =>
  machine.write(1, pfn, 8, Uint8Array.of(1, round, pfn, pfn >>> 8));
const noise: Change = (machine, round, pfn) =>
  machine.write(1, pfn, 0, pageOfNoise(round * HOT_PAGES + pfn));
/** Other words each time, of few letters. */
const text: Change = (machine, round, pfn) =>
  machine.write(
    1,
    pfn,
    0,
    Buffer.alloc(4096, `round ${round} of page ${pfn}, and ${round * pfn}; `),
  );

function pairFor(change: Change, options: PairOptions = {}): EnginePair {
  const sourceHooks: FakeMachineHooks = {
    beforeFlip: (machine, flip) => {
      for (let pfn = 0; pfn < HOT_PAGES; pfn += 1) change(machine, flip, pfn);
    },
  };
  const pair = new EnginePair({ link: LINK, sourceHooks, ...options });
  fillGuest(pair.machine);
  for (let pfn = 0; pfn < HOT_PAGES; pfn += 1) pair.machine.write(1, pfn, 0, pageOfNoise(pfn));
  return pair;
}

async function diagnosed(change: Change, options: PairOptions = {}): Promise<MigrationInfo> {
  const { sourceInfo } = await pairFor(change, {
    ...options,
    parameters: { ...GIVES_UP, ...options.parameters },
  }).run();
  expect(sourceInfo.diagnosis).toMatchObject({ verdict: 'plateau' });
  return sourceInfo;
}

function adviceOf({ diagnosis }: MigrationInfo, action: Advice['action']): Advice | undefined {
  return diagnosis?.advice.find((advice) => advice.action === action);
}

describe('advice on compression', () => {
  test('a word in each page: deltas, as they then turn out', async () => {
    const told = adviceOf(await diagnosed(aWord), 'xbzrle');
    const { source, sourceInfo } = await pairFor(aWord, { capabilities: { xbzrle: true } }).run();
    expect(source.status).toBe('completed');
    const actualMs = sourceInfo.totalTimeMs - sourceInfo.setupTimeMs;
    expect(told!.predictedTotalMs / actualMs).toBeGreaterThan(0.8);
    expect(told!.predictedTotalMs / actualMs).toBeLessThan(1.2);
    expect(told!.predictedDowntimeMs).toBeLessThan(300);
    const factor = told!.predictedDowntimeMs / sourceInfo.downtimeMs!;
    expect(Math.max(factor, 1 / factor)).toBeLessThan(4);
  });

  test('pages that are rewritten with text: LZ4', async () => {
    const info = await diagnosed(text);
    expect(adviceOf(info, 'x-codec')!.predictedDowntimeMs).toBeLessThan(300);
    const { source } = await pairFor(text, { parameters: { codec: 'auto' } }).run();
    expect(source.status).toBe('completed');
  });

  test('pages that are rewritten with noise: neither', async () => {
    const info = await diagnosed(noise);
    expect(adviceOf(info, 'xbzrle')).toBeUndefined();
    expect(adviceOf(info, 'x-codec')).toBeUndefined();
    expect(adviceOf(info, 'postcopy-ram')).toBeDefined();
  });

  test('a cache that holds little of them: no deltas', async () => {
    const info = await diagnosed(aWord, { parameters: { xbzrleCacheBytes: 2 ** 20 } });
    expect(adviceOf(info, 'xbzrle')).toBeUndefined();
  });

  test('what is on is not advised', async () => {
    const xbzrle = await diagnosed(noise, { capabilities: { xbzrle: true } });
    expect(adviceOf(xbzrle, 'xbzrle')).toBeUndefined();
    const lz4 = await diagnosed(noise, { parameters: { codec: 'auto' } });
    expect(adviceOf(lz4, 'x-codec')).toBeUndefined();
  });
});
