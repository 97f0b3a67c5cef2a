import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import { diagnose, type Policy, type PolicyLimits } from '../../../../src/source/index.ts';
import { autoPolicy } from '../../../../src/source/policy/auto.ts';
import type { CompressionProspects } from '../../../../src/source/policy/diagnosis.ts';
import { type ModelGuest, policyPass, ROUND, runModel } from '../../../support/policy-model.ts';

/** 64 MiB, a quarter of it hot, over 12.5 MB/s: 3 raw pages a millisecond. */
const GUEST: ModelGuest = {
  ramPages: 16_384,
  hotPages: 4096,
  writesPerMs: 1,
  linkBytesPerMs: 12_500,
  againBytes: 4112,
};
/** Looks on for some passes. */
const patient: Policy = { name: 'patient', decide: () => ({ action: 'iterate' }) };

function diagnosisAfter(
  passes: number,
  guest: Partial<ModelGuest>,
  limits: Partial<PolicyLimits> = {},
  prospects: CompressionProspects = {},
) {
  const { rounds } = runModel(patient, { ...GUEST, ...guest }, limits, passes);
  return diagnose(rounds.at(-1)!, prospects);
}

describe('diagnose()', () => {
  test.each<[string, string, string, Partial<ModelGuest>, Partial<PolicyLimits>, passes: number]>([
    ['a slow guest', 'converging', 'none', { writesPerMs: 0.3 }, {}, 1],
    ['one that nearly fits', 'converging', 'none', { writesPerMs: 2 }, {}, 2],
    ['an idle one', 'converging', 'none', { writesPerMs: 0 }, { downtimeLimitMs: 0 }, 1],
    ['a hot set that is written all over', 'plateau', 'working-set', { writesPerMs: 60 }, {}, 6],
    [
      'the same with small deltas',
      'converging',
      'none',
      { writesPerMs: 60, againBytes: 96 },
      {},
      3,
    ],
    [
      'a guest that writes more and more',
      'diverging',
      'dirty-rate',
      { hotPages: 1e6, writesPerMsAt: (ms) => 3.1 + ms / 10_000 },
      {},
      6,
    ],
    [
      'a limit of the user',
      'bandwidth-limited',
      'max-bandwidth',
      { linkBytesPerMs: 125_000, writesPerMs: 4 },
      { maxBandwidthBytesPerSecond: 12.5e6 },
      6,
    ],
    [
      'an encoder that is slower than the link',
      'cpu-limited',
      'encoder',
      { linkBytesPerMs: 1e6, writesPerMs: 60, againBytes: 96, encodeMsPerPage: 0.2 },
      {},
      6,
    ],
  ])('diagnose() sees %s: %s, %s', (_, verdict, limitingFactor, guest, limits, passes) => {
    expect(diagnosisAfter(passes, guest, limits)).toMatchObject({ verdict, limitingFactor });
  });

  test('knows the working set, the rates and the pause that it would take', () => {
    const diagnosis = diagnosisAfter(6, { writesPerMs: 60 });
    expect(diagnosis.workingSetBytes / (4096 * PAGE_BYTES)).toBeCloseTo(1, 2);
    expect(diagnosis.effectiveBytesPerSecond! / 12.5e6).toBeCloseTo(4096 / 4112, 3);
    expect(diagnosis.requiredDowntimeMs! / ((4096 * 4112) / 12_500)).toBeCloseTo(1, 2);
    expect(diagnosis.etaMs).toBeUndefined();
  });

  test('predicts when a guest converges that does', () => {
    const slow = { writesPerMs: 1.5 };
    const early = runModel(patient, { ...GUEST, ...slow }, { downtimeLimitMs: 30 }, 2).rounds.at(
      -1,
    )!;
    const { etaMs, advice } = diagnose(early);
    const run = runModel(autoPolicy, { ...GUEST, ...slow }, { downtimeLimitMs: 30 });
    const [wait] = advice;
    expect(wait?.action).toBe('wait');
    const actualMs = run.totalMs + run.downtimeMs;
    expect(wait!.predictedTotalMs / actualMs).toBeGreaterThan(0.8);
    expect(wait!.predictedTotalMs / actualMs).toBeLessThan(1.2);
    expect(etaMs! + early.elapsedMs).toBeLessThanOrEqual(wait!.predictedTotalMs);
  });

  test('advises what would help, and what it costs', () => {
    const { advice } = diagnosisAfter(6, { writesPerMs: 6, hotPages: 8192 });
    expect(advice.map(({ action }) => action)).toEqual([
      'auto-converge',
      'postcopy-ram',
      'downtime-limit',
    ]);
    const [throttle, postcopy, pause] = advice;
    expect(throttle!.predictedDowntimeMs).toBeLessThanOrEqual(300);
    expect(postcopy!.predictedDowntimeMs).toBeLessThan(10);
    expect(pause!.predictedDowntimeMs).toBeGreaterThan(300);
  });

  test('knows that a guest which waits must be slowed further, and how long that takes', () => {
    const guest = { writesPerMs: 6, hotPages: 8192 };
    const [busy] = diagnosisAfter(6, guest).advice;
    const [waiting] = diagnosisAfter(6, { ...guest, busyShare: 0.2 }).advice;
    expect([busy?.action, waiting?.action]).toEqual(['auto-converge', 'auto-converge']);
    expect(waiting!.predictedDowntimeMs).toBe(busy!.predictedDowntimeMs);
    expect(waiting!.predictedTotalMs).toBeGreaterThan(busy!.predictedTotalMs + 1000);
    const [beyond] = diagnosisAfter(6, { ...guest, busyShare: 0.005 }).advice;
    expect(beyond?.action).toBe('postcopy-ram');
  });

  test('advises a higher limit where the limit is what holds it back', () => {
    const limits = { maxBandwidthBytesPerSecond: 12.5e6 };
    const { advice } = diagnosisAfter(6, { linkBytesPerMs: 125_000, writesPerMs: 4 }, limits);
    expect(advice[0]?.action).toBe('max-bandwidth');
    expect(advice[0]?.predictedDowntimeMs).toBeLessThanOrEqual(300);
  });

  /** All of its hot pages in each pass. */
  const BUSY = { writesPerMs: 60 };
  const OTHERS = ['auto-converge', 'postcopy-ram', 'downtime-limit'];
  const page = (wireBytesPerPage: number, encodeMsPerPage = 0) => ({
    wireBytesPerPage,
    encodeMsPerPage,
  });

  test('advises deltas where they would fit, for a migration begun anew', () => {
    const { advice } = diagnosisAfter(6, BUSY, {}, { xbzrle: page(96), lz4: page(2064) });
    expect(advice.map(({ action }) => action)).toEqual(['xbzrle', ...OTHERS]);
    // 4096 pages of 96 bytes, and the switch itself; after a pass of all RAM as it was.
    const downtimeMs = (4096 * 96) / 12_500 + 3;
    const firstMs = (16_384 * 4112) / 12_500;
    expect(advice[0]!.predictedDowntimeMs / downtimeMs).toBeCloseTo(1, 2);
    expect(advice[0]!.predictedTotalMs / (firstMs + downtimeMs)).toBeCloseTo(1, 2);
  });

  test('advises LZ4 where half of each page is enough', () => {
    const limit = { downtimeLimitMs: 800 };
    const { advice } = diagnosisAfter(6, BUSY, limit, { lz4: page(2064) });
    expect(advice[0]?.action).toBe('x-codec');
    expect(advice[0]!.predictedDowntimeMs / ((4096 * 2064) / 12_500 + 3)).toBeCloseTo(1, 2);
  });

  test.each<[string, CompressionProspects]>([
    ['gain too little', { xbzrle: page(3900), lz4: page(3900) }],
    ['do not converge either', { xbzrle: page(2064), lz4: page(2064) }],
    ['take too long to make', { xbzrle: page(96, 0.4), lz4: page(96, 0.4) }],
    ['were not sampled', {}],
  ])('does not advise encoders that %s', (_, prospects) => {
    const { advice } = diagnosisAfter(6, BUSY, {}, prospects);
    expect(advice.map(({ action }) => action)).toEqual(OTHERS);
  });

  test('a guest that converges is only to be waited for', () => {
    const { advice } = diagnosisAfter(1, { writesPerMs: 0.3 }, {}, { xbzrle: page(96) });
    expect(advice.map(({ action }) => action)).toEqual(['wait']);
  });

  test('says nothing that it cannot know', () => {
    const round = { ...ROUND, linkBytesPerMs: undefined, history: [policyPass()] };
    const diagnosis = diagnose(round);
    expect(diagnosis.effectiveBytesPerSecond).toBeUndefined();
    expect(diagnosis.requiredDowntimeMs).toBeUndefined();
    expect(diagnosis.etaMs).toBeUndefined();
    expect(diagnosis.advice).toEqual([]);
  });
});
