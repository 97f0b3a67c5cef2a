import { expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import { ControlBlock, GuestClock, GuestMemory, VcpuControl } from '../../../src/guestmem/index.ts';

/** A machine without vCPUs: every pause takes effect at once. */
function clockedControl(startMs: number): { clock: SimClock; control: VcpuControl } {
  const clock = new SimClock({ startMs });
  const memory = GuestMemory.allocate([{ name: 'ram0', bytes: 4096 }], 0);
  return {
    clock,
    control: new VcpuControl(ControlBlock.allocate(0, ['ownership']), memory, clock),
  };
}

test('GuestClock counts only while the guest has no reason to stand still', async () => {
  const { clock, control } = clockedControl(1000);
  const time = control.guestClock;
  await clock.advance(50);
  expect(time.nowMs()).toBe(0);
  control.resume('ownership');
  await clock.advance(7);
  expect(time.nowMs()).toBe(7);
  await control.pause('operator');
  await control.pause('migration');
  await clock.advance(100);
  control.resume('operator');
  await clock.advance(100);
  expect(time.nowMs()).toBe(7);
  control.resume('migration');
  expect(time.nowMs()).toBe(7);
  await clock.advance(3);
  expect(time.nowMs()).toBe(10);
});

test('GuestClock.set() continues a time that is ahead of the host', async () => {
  const { clock, control } = clockedControl(10);
  control.guestClock.set(5_000_000_000n);
  expect(control.guestClock.nowNs()).toBe(5_000_000_000n);
  control.resume('ownership');
  expect(control.guestClock.nowNs()).toBe(5_000_000_000n);
  await clock.advance(2);
  expect(control.guestClock.nowNs()).toBe(5_002_000_000n);
  await control.pause('migration');
  expect(control.guestClock.nowNs()).toBe(5_002_000_000n);
});

test('GuestClock.follow() changes nothing when the clock already is as the mask says', async () => {
  const { clock, control } = clockedControl(10);
  control.resume('ownership');
  await clock.advance(5);
  const other = new GuestClock(control.block, clock);
  other.follow();
  control.guestClock.follow();
  expect(other.nowMs()).toBe(5);
});
