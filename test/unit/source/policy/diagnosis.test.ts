import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import { diagnose, type Policy, type PolicyLimits } from '../../../../src/source/index.ts';
import { autoPolicy } from '../../../../src/source/policy/auto.ts';
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
) {
  const { rounds } = runModel(patient, { ...GUEST, ...guest }, limits, passes);
  return diagnose(rounds.at(-1)!);
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

  test('advises a higher limit where the limit is what holds it back', () => {
    const limits = { maxBandwidthBytesPerSecond: 12.5e6 };
    const { advice } = diagnosisAfter(6, { linkBytesPerMs: 125_000, writesPerMs: 4 }, limits);
    expect(advice[0]?.action).toBe('max-bandwidth');
    expect(advice[0]?.predictedDowntimeMs).toBeLessThanOrEqual(300);
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
