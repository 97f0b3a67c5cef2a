import { expect, test } from 'vitest';
import { SimClock } from '../../../../src/base/index.ts';
import type { PageFault } from '../../../../src/guestmem/index.ts';
import { FakeMachine } from '../../../support/fake-machine.ts';

async function postcopied(): Promise<FakeMachine> {
  const machine = new FakeMachine(new SimClock());
  await machine.pause('ownership');
  machine.setPostcopy(true);
  machine.resume('ownership');
  return machine;
}

function receive(machine: FakeMachine, block: number, pfn: number): void {
  const { bytes, layout } = machine.block(block);
  bytes[layout.receivedMap + pfn] = 1;
}

test('FakeMachine.access() waits for a page until it is there and wake() was called', async () => {
  const machine = await postcopied();
  expect(machine.access(1, 40)).toBe(false);
  expect(machine.faults.waiting()).toEqual([{ vcpu: 0, block: 1, pfn: 40 }]);
  machine.faults.wake();
  expect(machine.faults.isWaiting(0)).toBe(true);
  receive(machine, 1, 40);
  expect(machine.faults.isWaiting(0)).toBe(true);
  machine.faults.wake();
  expect(machine.faults.waiting()).toEqual([]);
  expect(machine.access(1, 40)).toBe(true);
});

test('LocalPageFaults.watch() tells each wait once, those that go on already at once', async () => {
  const machine = await postcopied();
  machine.access(0, 8);
  const told: PageFault[] = [];
  const stop = machine.faults.watch((fault) => told.push(fault));
  expect(told).toEqual([{ vcpu: 0, block: 0, pfn: 8 }]);
  machine.access(2, 0, 1);
  machine.faults.wake();
  expect(told).toHaveLength(2);
  stop();
  receive(machine, 2, 0);
  machine.faults.wake();
  machine.access(0, 9, 1);
  expect(told).toHaveLength(2);
});

test('LocalPageFaults.interrupt() ends the waits of a guest that pauses', async () => {
  const machine = await postcopied();
  machine.access(0, 8);
  await machine.pause('operator');
  expect(machine.faults.waiting()).toEqual([]);
  machine.resume('operator');
  expect(machine.access(0, 8)).toBe(false);
  expect(machine.faults.statistics().vcpus[0]?.faults).toBe(1);
});
