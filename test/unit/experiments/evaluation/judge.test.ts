import { describe, expect, it } from 'vitest';
import { type Figures, SCENARIOS } from '../../../../src/experiments/evaluation/index.ts';
import { change, reduction } from '../../../../src/experiments/evaluation/judge.ts';
import { run } from './evaluation-fixtures.ts';

const MIB = 2 ** 20;

function judged(name: string, runs: Readonly<Record<string, readonly Figures[]>>) {
  const scenario = SCENARIOS.find((known) => known.name === name);
  const verdict = scenario?.judge((variant) => runs[variant] ?? []);
  return `${verdict?.direction}, ${verdict?.ratio}`;
}

const client = {
  longestMs: 10,
  freezeMs: 0,
  lostFrames: 0,
  damagedFrames: 0,
  sessionsAlive: 16,
  sessionsDead: 0,
  rateBefore: 100,
  rateDuring: 100,
};

describe('a verdict', () => {
  it.each([
    [2700, 30, 'identical', 'holds, holds'],
    [2700, 90, 'identical', 'holds, does not hold'],
    [27, 90, 'identical', 'does not hold, does not hold'],
    [2700, 30, 'different', 'does not hold, does not hold'],
  ])('memory-write: %d ms and %d ms, RAM %s: %s', (plain, delta, verify, expected) => {
    const runs = {
      vanilla: [run({ downtimeMs: plain })],
      delta: [run({ downtimeMs: delta, verify })],
    };
    expect(judged('memory-write', runs)).toBe(expected);
  });

  it('load-generator: the plain run must not complete', () => {
    const delta = [run()];
    const cancelled = [run({ status: 'cancelled', verify: 'skipped' })];
    expect(judged('load-generator', { vanilla: cancelled, delta })).toBe('holds, none');
    expect(judged('load-generator', { vanilla: [run()], delta })).toBe('does not hold, none');
    expect(judged('load-generator', { vanilla: [], delta })).toBe('does not hold, none');
  });

  it.each([
    [40, 700, 0.7, 'holds, holds'],
    [40, 700, 0.9, 'holds, does not hold'],
    [200, 700, 0.7, 'holds, does not hold'],
    [40, 1100, 0.7, 'does not hold, does not hold'],
  ])(
    'skewed-writer: %d ms down, %d ms in all, %d of the data: %s',
    (downtimeMs, totalMs, share, expected) => {
      const runs = {
        neither: [run({ downtimeMs: 1000 })],
        both: [run({ downtimeMs, totalMs, sentBytes: share * MIB })],
      };
      expect(judged('skewed-writer', runs)).toBe(expected);
    },
  );

  it('streaming: a lost frame or a freeze with delta compression is a failure', () => {
    const vanilla = [run({ client: { ...client, freezeMs: 4000 } })];
    const delta = (fields: Partial<typeof client>) => [run({ client: { ...client, ...fields } })];
    expect(judged('streaming', { vanilla, delta: delta({}) })).toBe('holds, holds');
    expect(judged('streaming', { vanilla, delta: delta({ lostFrames: 1 }) })).toBe(
      'holds, does not hold',
    );
    expect(judged('streaming', { vanilla, delta: delta({ freezeMs: 5000 }) })).toBe(
      'does not hold, does not hold',
    );
  });

  it('sessions: some must die without delta compression, none with it', () => {
    const of = (sessionsDead: number) => [run({ client: { ...client, sessionsDead } })];
    expect(judged('sessions', { vanilla: of(16), delta: of(0) })).toBe('holds, none');
    expect(judged('sessions', { vanilla: of(16), delta: of(1) })).toBe('does not hold, none');
    expect(judged('sessions', { vanilla: of(0), delta: of(0) })).toBe('does not hold, none');
    expect(judged('sessions', { vanilla: of(16), delta: [] })).toBe('does not hold, none');
  });

  it('approaches: hybrid lies between the two others', () => {
    const runs = (hybridBytes: number, hybridFaults: number) => ({
      'precopy write': [run({ sentBytes: 300 })],
      'postcopy write': [run({ sentBytes: 100, faults: 50 })],
      'hybrid write': [run({ sentBytes: hybridBytes, faults: hybridFaults })],
    });
    expect(judged('approaches', runs(200, 20))).toBe('holds, none');
    expect(judged('approaches', runs(400, 20))).toBe('does not hold, none');
    expect(judged('approaches', runs(200, 60))).toBe('does not hold, none');
  });

  it('blackout: says nothing of fewer than 100 runs', () => {
    const of = (count: number, downtimeMs: number) => ({
      idle: Array.from({ length: count }, () => run({ downtimeMs })),
    });
    expect(judged('blackout', of(99, 10))).toBe('none, none');
    expect(judged('blackout', of(100, 10))).toBe('none, holds');
    expect(judged('blackout', of(100, 60))).toBe('none, does not hold');
  });

  it('smart-stop: less data must not be paid for by downtime', () => {
    const timeout = [run({ downtimeMs: 100 })];
    const auto = (downtimeMs: number) => [run({ downtimeMs, sentBytes: MIB / 2 })];
    expect(judged('smart-stop', { timeout, auto: auto(115) })).toBe('holds, holds');
    expect(judged('smart-stop', { timeout, auto: auto(130) })).toBe('holds, does not hold');
  });

  it.each([
    [1000, 100, 'none, holds'],
    [1120, 100, 'none, does not hold'],
    [1000, 300, 'none, does not hold'],
  ])('policies: auto takes %d ms, %d ms of them down: %s', (totalMs, downtimeMs, expected) => {
    const runs = ['quiet', 'sparse', 'skewed', 'dense'].flatMap((load) => [
      [`${load} auto`, [run({ totalMs, downtimeMs })]] as const,
      [`${load} qemu`, [run({ downtimeMs: 200 })]] as const,
      // Faster, but at a price that is not allowed.
      [`${load} clark`, [run({ totalMs: 500, downtimeMs: 900 })]] as const,
      [`${load} svard`, [run({ totalMs: 2000 })]] as const,
    ]);
    expect(judged('policies', Object.fromEntries(runs))).toBe(expected);
  });

  it('without any run nothing holds', () => {
    const verdicts = SCENARIOS.map(({ name }) => judged(name, {}));
    expect(verdicts.filter((verdict) => /(^|, )holds/.test(verdict))).toEqual([]);
  });

  it('shows both medians with their unit, and what they make', () => {
    const plain = [run({ downtimeMs: 2000 }), run({ downtimeMs: 4000 })];
    const better = [run({ downtimeMs: 30, sentBytes: MIB / 2 })];
    expect(reduction(plain, better, 'downtimeMs')).toBe('3000 (2000-4000) ms -> 30 ms, 100x');
    expect(change([run()], better, 'sentBytes')).toBe('1 MiB -> 0.5 MiB, -50 %');
    expect(change(better, [run()], 'sentBytes')).toBe('0.5 MiB -> 1 MiB, +100 %');
  });
});
