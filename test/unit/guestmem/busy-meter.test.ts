import { expect, test } from 'vitest';
import { BusyMeter } from '../../../src/guestmem/index.ts';

test('BusyMeter tells the share of the busiest vCPU since it began, or was begun anew', () => {
  let busy = [1000, 50];
  const meter = new BusyMeter({ busyMs: () => busy }, 200);
  expect(meter.share(200)).toBe(0);
  busy = [1010, 75];
  expect(meter.share(300)).toBe(0.25);
  expect(meter.share(300)).toBe(0.25);
  meter.restart(300);
  expect(meter.share(400)).toBe(0);
  // A slice that began before.
  busy = [1010, 180];
  expect(meter.share(400)).toBe(1);
});
