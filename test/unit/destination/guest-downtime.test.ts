import { describe, expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import { guestDowntime, observeGuestDowntime } from '../../../src/destination/guest-downtime.ts';
import type { Heartbeat, Machine } from '../../../src/guestmem/index.ts';

const NEVER = Number.NaN;

function beat(vcpu: number, firstStepMs: number, longestGapMs = 0): Heartbeat {
  return { vcpu, firstStepMs, lastStepMs: firstStepMs, longestGapMs };
}

describe('guestDowntime()', () => {
  test.each<[string, Heartbeat[], number[], number | null]>([
    ['the gap of one vCPU', [beat(0, 110)], [100], 10_000],
    ['the longest gap of all', [beat(0, 110), beat(1, 117.5)], [100, 105], 12_500],
    ['a gap after the switch that is longer', [beat(0, 110, 40)], [100], 40_000],
    ['zero for a negative gap, which is an error of the clocks', [beat(0, 99)], [100], 0],
    ['null when the clocks could not be compared', [beat(0, 110)], [NEVER], null],
    [
      'null when the last step of one vCPU is unknown',
      [beat(0, 110), beat(1, 111)],
      [100, NEVER],
      null,
    ],
    ['null when the source said nothing of a vCPU', [beat(0, 110), beat(1, 111)], [100], null],
    ['null when a vCPU did not step', [beat(0, 110), beat(1, NEVER, NEVER)], [100, 100], null],
    ['null when there is no vCPU', [], [], null],
    ['the switch alone when later gaps are unknown', [beat(0, 104, NEVER)], [100], 4000],
  ])('guestDowntime() is %s', (_, beats, lastStepMs, expected) => {
    expect(guestDowntime(beats, lastStepMs).guestDowntimeUs).toBe(expected);
  });

  test('guestDowntime() tells first steps and the longest later gap', () => {
    const result = guestDowntime([beat(0, 110, 3), beat(1, 112, 7)], [100, 100]);
    expect(result.firstStepMs).toEqual([110, 112]);
    expect(result.longestGapMs).toBe(7);
  });
});

describe('observeGuestDowntime()', () => {
  /** Only heartbeats are asked of it. */
  function machineThatSteps(clock: SimClock, firstStepMs: number): Machine {
    const heartbeats = () => [beat(0, clock.nowMs() >= firstStepMs ? firstStepMs : NEVER, 2)];
    return { heartbeats } as unknown as Machine;
  }

  test('observeGuestDowntime() watches for 100 ms', async () => {
    const clock = new SimClock({ startMs: 1000 });
    const machine = machineThatSteps(clock, 1005);
    const result = await clock.runUntil(observeGuestDowntime(machine, clock, [995]));
    expect([clock.nowMs(), result.guestDowntimeUs]).toEqual([1100, 10_000]);
  });

  test('observeGuestDowntime() waits for a vCPU that is late', async () => {
    const clock = new SimClock({ startMs: 1000 });
    const machine = machineThatSteps(clock, 1500);
    const result = await clock.runUntil(observeGuestDowntime(machine, clock, [995]));
    expect(result.guestDowntimeUs).toBe(505_000);
  });

  test('observeGuestDowntime() gives up on a vCPU that never steps', async () => {
    const clock = new SimClock({ startMs: 1000 });
    const machine = machineThatSteps(clock, 1e9);
    const result = await clock.runUntil(observeGuestDowntime(machine, clock, [995]), 5000);
    expect(result.guestDowntimeUs).toBeNull();
  });
});
