import { describe, expect, test } from 'vitest';
import { EnginePair, type PairOptions } from '../../support/engine-pair.ts';
import type { FakeMachine, FakeMachineHooks } from '../../support/fake-machine.ts';
import { fillGuest } from '../../support/guest-script.ts';

/** 2000 raw pages are 820 ms of it. */
const LINK = { bandwidthBytesPerSecond: 10e6, latencyMs: 0.1 };
const HOT_PAGES = 2000;

/** A word in each of so many pages. */
function dirty(machine: FakeMachine, round: number, pages: number): void {
  for (let pfn = 0; pfn < pages; pfn += 1) {
    machine.write(1, pfn, 8, Uint8Array.of(1, round, pfn, pfn >>> 8));
  }
}

/** Rewrites its hot pages in each pass at full speed, and its share of them under a throttle. */
const BUSY: FakeMachineHooks = {
  beforeFlip: (machine, flip) =>
    dirty(machine, flip, Math.round((HOT_PAGES * (100 - machine.throttlePercent)) / 100)),
};

function pairFor(options: PairOptions): EnginePair {
  const pair = new EnginePair({
    link: LINK,
    sourceHooks: BUSY,
    capabilities: { 'auto-converge': true },
    ...options,
  });
  fillGuest(pair.machine);
  dirty(pair.machine, 0, HOT_PAGES);
  return pair;
}

const percents = ({ throttles }: FakeMachine) => throttles.map(({ percent }) => percent);

describe('auto-converge', () => {
  test.each(['auto', 'qemu'])('%s slows the guest until the rest fits', async (policy) => {
    const pair = pairFor({ parameters: { policy, downtimeLimitMs: 500 } });
    const { source, sourceInfo } = await pair.run();
    expect(source.status).toBe('completed');
    const steps = percents(pair.machine);
    expect(steps.slice(0, 2)).toEqual([20, 30]);
    // Lifted when the guest is about to be paused; once.
    expect(steps.filter((percent) => percent === 0)).toEqual([0]);
    expect(steps.at(-1)).toBe(0);
    const { history } = pair.machine;
    expect(history.indexOf('throttle 0')).toBeLessThan(history.indexOf('+migration'));
    expect(sourceInfo.throttle!.percent).toBe(0);
    expect(sourceInfo.throttle!.meanPercent).toBeGreaterThan(5);
    expect(sourceInfo.throttle!.meanPercent).toBeLessThan(70);
    const shown = pair.published.map(({ throttle }) => throttle?.percent ?? 0);
    expect(Math.max(...shown)).toBe(Math.max(...steps));
  });

  test('starts and steps as the parameters say, also when they change meanwhile', async () => {
    const pair = pairFor({
      parameters: {
        downtimeLimitMs: 0,
        timeoutMs: 12_000,
        cpuThrottleInitialPercent: 5,
        cpuThrottleIncrementPercent: 3,
        maxCpuThrottlePercent: 8,
      },
    });
    void pair.clock
      .sleep(6000)
      .then(() => pair.outgoing.setParameters({ maxCpuThrottlePercent: 11 }));
    await pair.run();
    expect(percents(pair.machine)).toEqual([5, 8, 11, 0]);
  });

  test('does nothing without the capability', async () => {
    const pair = pairFor({
      capabilities: {},
      parameters: { timeoutMs: 6000, downtimeLimitMs: 0 },
    });
    const { sourceInfo } = await pair.run();
    expect(percents(pair.machine)).toEqual([]);
    expect(sourceInfo.throttle).toBeUndefined();
  });

  test.each<[string, PairOptions, (pair: EnginePair) => void]>([
    ['a cancel', {}, (pair) => void pair.outgoing.cancel()],
    ['a lost link', {}, (pair) => pair.cut()],
    [
      'a timeout',
      { parameters: { downtimeLimitMs: 0, timeoutMs: 5000, timeoutAction: 'cancel' } },
      () => {},
    ],
  ])('lets the guest go after %s', async (_, options, end) => {
    const pair = pairFor({ parameters: { downtimeLimitMs: 0 }, ...options });
    void pair.clock.sleep(5000).then(() => end(pair));
    const { source } = await pair.run();
    expect(source.status).not.toBe('completed');
    const steps = percents(pair.machine);
    expect(Math.max(...steps)).toBeGreaterThanOrEqual(20);
    expect(steps.at(-1)).toBe(0);
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('lets the guest go when it is handed over with pages missing', async () => {
    const pair = pairFor({
      parameters: {
        mode: 'hybrid',
        postcopyAfterPasses: 6,
        postcopyPlateau: 'off',
        downtimeLimitMs: 0,
      },
    });
    const { source } = await pair.run();
    expect(source.status).toBe('completed');
    expect(percents(pair.machine)).toContain(20);
    expect(percents(pair.machine).at(-1)).toBe(0);
  });
});

describe('dirty-limit', () => {
  /** Each vCPU of the machine writes every other page; the second one a tenth of them. */
  const uneven: FakeMachineHooks = {
    beforeFlip: (machine, flip) => {
      for (let pfn = 0; pfn < HOT_PAGES; pfn += 1) {
        if (pfn % 2 === 0 || pfn % 20 === 1) machine.write(1, pfn, 8, Uint8Array.of(1, flip, pfn));
      }
    },
  };

  test('slows the vCPU that dirties more than its limit, and lets it go at the end', async () => {
    const pair = pairFor({
      capabilities: { 'dirty-limit': true },
      sourceHooks: uneven,
      parameters: {
        downtimeLimitMs: 0,
        timeoutMs: 6000,
        timeoutAction: 'cancel',
        vcpuDirtyLimitMegabytesPerSecond: 2,
      },
    });
    const { sourceInfo } = await pair.run();
    const of = (wanted: number) =>
      pair.machine.throttles.filter(({ vcpu }) => vcpu === wanted).map(({ percent }) => percent);
    expect(Math.max(...of(0))).toBeGreaterThan(50);
    expect(Math.max(...of(1))).toBe(0);
    expect(pair.machine.throttles.at(-1)).toMatchObject({ percent: 0, vcpu: undefined });
    expect(sourceInfo.throttle!.meanPercent).toBeGreaterThan(0);
  });

  test('leaves a guest alone that converges', async () => {
    const pair = pairFor({
      capabilities: { 'dirty-limit': true },
      sourceHooks: {
        beforeFlip: (machine, flip) =>
          dirty(machine, flip, Math.floor(HOT_PAGES / 4 ** (flip - 1))),
      },
      parameters: { downtimeLimitMs: 0, timeoutMs: 6000 },
    });
    await pair.run();
    expect(percents(pair.machine)).toEqual([]);
  });
});

describe('diagnosis', () => {
  const verdictOf = async (options: PairOptions) => {
    const pair = pairFor({ capabilities: {}, ...options });
    await pair.run();
    return pair.outgoing.info().diagnosis!;
  };

  test('knows a guest that rewrites its working set for a plateau', async () => {
    const diagnosis = await verdictOf({
      parameters: { timeoutMs: 6000, timeoutAction: 'cancel' },
    });
    expect(diagnosis).toMatchObject({ verdict: 'plateau', limitingFactor: 'working-set' });
    expect(diagnosis.workingSetBytes).toBe(HOT_PAGES * 4096);
    expect(diagnosis.effectiveBytesPerSecond! / 10e6).toBeGreaterThan(0.9);
    expect(diagnosis.effectiveBytesPerSecond! / 10e6).toBeLessThan(1.05);
    expect(diagnosis.requiredDowntimeMs! / 823).toBeGreaterThan(0.9);
    expect(diagnosis.requiredDowntimeMs! / 823).toBeLessThan(1.1);
    expect(diagnosis.advice.map(({ action }) => action)).toContain('postcopy-ram');
  });

  test('knows a guest that is held back by the limit of its user', async () => {
    const diagnosis = await verdictOf({
      link: { ...LINK, bandwidthBytesPerSecond: 500e6 },
      parameters: { maxBandwidthBytesPerSecond: 10e6, timeoutMs: 6000, timeoutAction: 'cancel' },
    });
    expect(diagnosis).toMatchObject({
      verdict: 'bandwidth-limited',
      limitingFactor: 'max-bandwidth',
    });
  });

  test('knows a guest that writes more and more for diverging', async () => {
    const diagnosis = await verdictOf({
      parameters: { timeoutMs: 4000, timeoutAction: 'cancel' },
      sourceHooks: {
        beforeFlip: (machine, flip) => dirty(machine, flip, Math.min(3000, 800 + 300 * flip)),
      },
    });
    expect(diagnosis).toMatchObject({ verdict: 'diverging', limitingFactor: 'dirty-rate' });
  });

  test('knows a guest that becomes quiet for converging', async () => {
    const diagnosis = await verdictOf({
      sourceHooks: {
        beforeFlip: (machine, flip) => {
          if (flip > 1) dirty(machine, flip, Math.max(0, 2000 - 400 * flip));
        },
      },
    });
    expect(diagnosis).toMatchObject({ verdict: 'converging', limitingFactor: 'none' });
  });
});
