import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/index.ts';
import { BEAT_EPOCH, FLIP_DONE, STATE, WAKE } from '../../../src/guestmem/control-block.ts';
import {
  ControlBlock,
  GuestMemory,
  type MmuSettings,
  Safepoint,
  VCPU_STATE,
  VcpuControl,
} from '../../../src/guestmem/index.ts';

/**
 * vCPUs whose safepoints the test calls itself, in its own thread: each interleaving can be made.
 */
function handDriven(vcpuCount = 1) {
  const clock = systemClock();
  const memory = GuestMemory.allocate([{ name: 'ram0', bytes: 2 ** 16 }], vcpuCount);
  const block = ControlBlock.allocate(vcpuCount, []);
  const control = new VcpuControl(block, memory, clock);
  const settings: MmuSettings[] = [];
  const safepoints = Array.from({ length: vcpuCount }, (_, vcpu) => {
    const configure = (now: MmuSettings) => settings.push(now);
    return new Safepoint({ block, memory, vcpu, clock, configure });
  });
  const setState = (vcpu: number, state: keyof typeof VCPU_STATE) => {
    Atomics.store(block.words, block.vcpuWord(vcpu, STATE), VCPU_STATE[state]);
    block.announceProgress();
  };
  const maps = () => Array.from({ length: vcpuCount + 1 }, (_, log) => memory.activeMap(log));
  return { memory, block, control, safepoints, settings, setState, maps };
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => (done = true),
    () => (done = true),
  );
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe('VcpuControl.pause()', () => {
  test('waits for the last vCPU to park', async () => {
    const { control, setState } = handDriven(2);
    setState(0, 'running');
    setState(1, 'running');
    const paused = control.pause('operator');
    setState(0, 'parked');
    expect(await settled(paused)).toBe(false);
    setState(1, 'parked');
    await paused;
    expect(control.isParked()).toBe(true);
    expect(control.reasons()).toEqual(['operator']);
  });

  test('lets the clock of the guest run until the last vCPU, which may look at it, has parked', async () => {
    const { control, setState } = handDriven();
    const { guestClock } = control;
    guestClock.follow();
    setState(0, 'running');
    const paused = control.pause('operator');
    const asked = guestClock.nowNs();
    // Without end when it stands still already.
    while (guestClock.nowNs() === asked) await new Promise((resolve) => setImmediate(resolve));
    const seen = guestClock.nowNs();
    setState(0, 'parked');
    await paused;
    const stopped = guestClock.nowNs();
    expect(stopped).toBeGreaterThanOrEqual(seen);
    await new Promise((resolve) => setImmediate(resolve));
    expect(guestClock.nowNs()).toBe(stopped);
  });

  test('rejects with E_WORKER_DIED when a vCPU dies while it waits', async () => {
    const { control, setState } = handDriven(2);
    setState(0, 'parked');
    setState(1, 'running');
    const paused = control.pause('migration');
    control.markDead(1);
    await expect(paused).rejects.toMatchObject({ code: 'E_WORKER_DIED', detail: { vcpu: 1 } });
  });

  test('rejects with E_STATE when its reason is taken away before it took effect', async () => {
    const { control, setState } = handDriven();
    setState(0, 'running');
    const paused = control.pause('operator');
    control.resume('operator');
    await expect(paused).rejects.toMatchObject({ code: 'E_STATE' });
  });

  test('keeps the guest still until the last reason is gone', async () => {
    const { control, setState } = handDriven();
    setState(0, 'parked');
    await control.pause('operator');
    await control.pause('migration');
    control.resume('operator');
    expect(control.reasons()).toEqual(['migration']);
    expect(control.isParked()).toBe(true);
    control.resume('migration');
    expect(control.isParked()).toBe(false);
  });

  test('gives up with E_WORKER_DIED when a vCPU never answers', async () => {
    const { control, setState } = handDriven();
    setState(0, 'running');
    const waiting = control.until(() => false, 1);
    await expect(waiting).rejects.toMatchObject({
      code: 'E_WORKER_DIED',
      detail: { states: ['running'] },
    });
  });
});

describe('VcpuControl.flip()', () => {
  test('flips parked vCPUs and the device log by itself', async () => {
    const { control, setState, maps, block } = handDriven(2);
    setState(0, 'parked');
    setState(1, 'parked');
    await control.flip();
    expect(maps()).toEqual([1, 1, 1]);
    await control.flip();
    expect(maps()).toEqual([0, 0, 0]);
    expect(Atomics.load(block.words, block.vcpuWord(0, STATE))).toBe(VCPU_STATE.parked);
  });

  test('leaves a running vCPU to flip itself at its next safepoint', async () => {
    const { control, safepoints, maps, settings } = handDriven();
    expect(safepoints[0]?.enter()).toBe('run');
    const flipped = control.flip();
    expect(await settled(flipped)).toBe(false);
    expect(maps()).toEqual([0, 1]);
    expect(safepoints[0]?.enter()).toBe('run');
    await flipped;
    expect(maps()).toEqual([1, 1]);
    expect(settings.map(({ activeMap }) => activeMap)).toEqual([0, 1]);
  });

  test('does not flip a vCPU again that flipped itself and then parked', async () => {
    const { control, maps, setState, block } = handDriven();
    setState(0, 'running');
    const flipped = control.flip();
    // What the vCPU does between two looks of the flipper.
    Atomics.store(block.words, block.vcpuWord(0, FLIP_DONE), 1);
    setState(0, 'parked');
    await flipped;
    expect(maps()).toEqual([0, 1]);
  });

  test('is answered from a sleep, at once', async () => {
    const { control, safepoints, maps, block } = handDriven();
    safepoints[0]?.enter();
    const flipped = control.flip();
    safepoints[0]?.sleep(1);
    await flipped;
    expect(maps()).toEqual([1, 1]);
    expect(Atomics.load(block.words, WAKE)).toBe(1);
  });

  test('rejects with E_WORKER_DIED when a vCPU is dead', async () => {
    const { control, setState } = handDriven(2);
    setState(0, 'parked');
    control.markDead(1);
    await expect(control.flip()).rejects.toMatchObject({ code: 'E_WORKER_DIED' });
  });
});

describe('Safepoint.enter()', () => {
  test('says quit when the vCPUs shall end, also while paused', async () => {
    const { control, safepoints, setState } = handDriven();
    setState(0, 'parked');
    await control.pause('operator');
    control.quit();
    expect(safepoints[0]?.enter()).toBe('quit');
  });

  test('tells the soft MMU of a map that was flipped while parked', async () => {
    const { control, safepoints, setState, settings } = handDriven();
    safepoints[0]?.enter();
    setState(0, 'parked');
    await control.flip();
    control.setPostcopy(true);
    expect(safepoints[0]?.enter()).toBe('run');
    expect(settings).toEqual([
      { activeMap: 0, postcopy: false },
      { activeMap: 1, postcopy: true },
    ]);
  });

  test('tells the soft MMU of two flips, which come back to the same map', async () => {
    const { control, safepoints, setState, settings } = handDriven();
    safepoints[0]?.enter();
    setState(0, 'parked');
    await control.flip();
    await control.flip();
    safepoints[0]?.enter();
    safepoints[0]?.enter();
    // What was marked in it has been taken away.
    expect(settings).toEqual([
      { activeMap: 0, postcopy: false },
      { activeMap: 0, postcopy: false },
    ]);
  });
});

describe('Safepoint.beat()', () => {
  test('records first, last and longest gap of the window', () => {
    const { control, safepoints } = handDriven();
    expect(control.heartbeats()[0]?.firstStepMs).toBeNaN();
    for (const ms of [10, 11, 15, 16]) safepoints[0]?.beat(ms);
    expect(control.heartbeats()).toEqual([
      { vcpu: 0, firstStepMs: 10, lastStepMs: 16, longestGapMs: 4 },
    ]);
  });

  test('begins a new window at the first beat after resetHeartbeats()', () => {
    const { control, safepoints, block } = handDriven();
    for (const ms of [10, 19]) safepoints[0]?.beat(ms);
    control.resetHeartbeats();
    expect(control.heartbeats()[0]?.lastStepMs).toBeNaN();
    safepoints[0]?.beat(30);
    expect(control.heartbeats()).toEqual([
      { vcpu: 0, firstStepMs: 30, lastStepMs: 30, longestGapMs: 0 },
    ]);
    expect(Atomics.load(block.words, block.vcpuWord(0, BEAT_EPOCH))).toBe(1);
  });
});

describe('Safepoint.endSlice()', () => {
  test('sleeps the share that is asked for, collected to at least a millisecond', () => {
    const { control, safepoints } = handDriven();
    safepoints[0]?.enter();
    control.throttle('migration', 50);
    const clock = systemClock();
    const fromMs = clock.nowMs();
    for (let slice = 0; slice < 20; slice += 1) safepoints[0]?.endSlice(0.5);
    const sleptMs = clock.nowMs() - fromMs;
    expect(sleptMs).toBeGreaterThan(8.5);
    control.throttle('migration', 0);
    const freeMs = clock.nowMs();
    for (let slice = 0; slice < 20; slice += 1) safepoints[0]?.endSlice(0.5);
    expect(clock.nowMs() - freeMs).toBeLessThan(8);
  });

  test('counts how long guest code ran, not how long it was made to sleep', () => {
    const { control, safepoints } = handDriven(2);
    control.throttle('migration', 50);
    for (let slice = 0; slice < 4; slice += 1) safepoints[1]?.endSlice(0.5);
    expect(control.busyMs()).toEqual([0, 2]);
  });
});
