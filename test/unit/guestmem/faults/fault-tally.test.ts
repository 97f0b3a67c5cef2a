import { expect, test } from 'vitest';
import { FaultTally } from '../../../../src/guestmem/faults/fault-tally.ts';
import { ControlBlock } from '../../../../src/guestmem/index.ts';

function tallyOf(vcpuCount: number): FaultTally {
  return new FaultTally(ControlBlock.allocate(vcpuCount, []));
}

test('FaultTally.read() has nothing before the first fault', () => {
  const { vcpus, allBlockedMs, latencyBuckets } = tallyOf(2).read(50);
  const none = { faults: 0, blockedMs: 0, meanLatencyNs: 0 };
  expect(vcpus).toEqual([none, none]);
  expect(allBlockedMs).toBe(0);
  expect(latencyBuckets).toEqual(Array.from({ length: 24 }, () => 0));
});

test.each([
  [0.0001, 0],
  [0.001, 0],
  [0.0019, 0],
  [0.002, 1],
  [0.0841, 6],
  [1, 9],
  [8388.608, 23],
  [1e6, 23],
])('FaultTally.end() counts a fault of %f ms in bucket %i', (ms, bucket) => {
  const tally = tallyOf(1);
  tally.begin(0, 7, 0);
  tally.end(0, ms, true);
  const { latencyBuckets } = tally.read(0);
  expect(latencyBuckets.indexOf(1)).toBe(bucket);
});

test('FaultTally.begin() takes an interrupted fault of the same page for the same one', () => {
  const tally = tallyOf(1);
  tally.begin(0, 7, 10);
  tally.end(0, 12, false);
  tally.begin(0, 7, 20);
  tally.end(0, 23, true);
  const { vcpus, latencyBuckets } = tally.read(30);
  expect(vcpus).toEqual([{ faults: 1, blockedMs: 5, meanLatencyNs: 5e6 }]);
  // 5000 us altogether.
  expect(latencyBuckets.indexOf(1)).toBe(12);
});

test('FaultTally.begin() ends a fault whose page came while the vCPU was elsewhere', () => {
  const tally = tallyOf(1);
  tally.begin(0, 7, 10);
  tally.end(0, 12, false);
  tally.begin(0, 8, 20);
  tally.end(0, 28, true);
  const { vcpus, latencyBuckets } = tally.read(30);
  expect(vcpus[0]).toMatchObject({ faults: 2, blockedMs: 10 });
  expect([latencyBuckets[10], latencyBuckets[12]]).toEqual([1, 1]);
});

test('FaultTally counts as blocked only the time in which every vCPU is', () => {
  const tally = tallyOf(3);
  tally.begin(0, 1, 0);
  tally.begin(1, 2, 4);
  tally.begin(2, 3, 6);
  expect(tally.read(9).allBlockedMs).toBe(3);
  tally.end(1, 10, true);
  tally.begin(1, 4, 15);
  tally.end(0, 17, false);
  tally.end(2, 18, true);
  tally.end(1, 19, true);
  expect(tally.read(30).allBlockedMs).toBe(6);
});

test('FaultTally.reset() forgets everything', () => {
  const tally = tallyOf(1);
  tally.begin(0, 7, 10);
  tally.end(0, 12, false);
  tally.reset();
  expect(tally.read(20)).toEqual(tallyOf(1).read(20));
});
