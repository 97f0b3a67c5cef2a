import { expect, test } from 'vitest';
import { systemClock } from '../../../src/base/index.ts';
import { ControlBlock, GuestMemory, Safepoint, VcpuControl } from '../../../src/guestmem/index.ts';

function onlyVcpu() {
  // At the end of each sleep it is 20.
  const clock = { ...systemClock(), nowMs: () => 20 };
  const memory = GuestMemory.allocate([{ name: 'ram0', bytes: 2 ** 20 }], 1);
  const block = ControlBlock.allocate(1, []);
  const safepoint = new Safepoint({ block, memory, vcpu: 0, clock, configure: () => {} });
  return { safepoint, control: new VcpuControl(block, memory, clock) };
}

test('rest() is no gap between two steps, a time between two beats is one', () => {
  const { safepoint, control } = onlyVcpu();
  safepoint.beat(10);
  safepoint.beat(12);
  expect(control.heartbeats()[0]).toMatchObject({ firstStepMs: 10, lastStepMs: 12 });
  safepoint.rest(0, safepoint.wakeNumber);
  expect(control.heartbeats()[0]).toMatchObject({ lastStepMs: 20, longestGapMs: 2 });
  safepoint.beat(40);
  expect(control.heartbeats()[0]).toMatchObject({ lastStepMs: 40, longestGapMs: 20 });
});

test('rest() counts as a step of a new window', () => {
  const { safepoint, control } = onlyVcpu();
  safepoint.beat(10);
  control.resetHeartbeats();
  expect(control.heartbeats()[0]?.firstStepMs).toBeNaN();
  safepoint.rest(0, safepoint.wakeNumber);
  expect(control.heartbeats()[0]?.firstStepMs).not.toBeNaN();
});

test('rest() does not wait when it was woken after the vCPU looked', () => {
  const { safepoint, control } = onlyVcpu();
  const seen = safepoint.wakeNumber;
  control.wake();
  // It would never end.
  safepoint.rest(Number.POSITIVE_INFINITY, seen);
  expect(safepoint.wakeNumber).not.toBe(seen);
});
