import { expect, test } from 'vitest';
import { PAGE_BYTES, Random, SimClock } from '../../../../src/base/index.ts';
import {
  type DirtyRateMode,
  measureDirtyRate,
} from '../../../../src/control/observation/dirty-rate.ts';
import { SimMachine } from '../../../../src/guest/index.ts';

const BLOCK_PAGES = [300, 212];
const SPAN_MS = 1000;

/** A guest that writes pages 0 to `hot` once in each of ten steps of the measured second. */
async function measure(mode: DirtyRateMode, hot: number, endAtMs = SPAN_MS) {
  const clock = new SimClock();
  const machine = SimMachine.create({ clock, blockPages: BLOCK_PAGES, vcpuCount: 2 });
  // What was written before counts for nothing.
  for (let pfn = 0; pfn < 400; pfn += 1) machine.write(pfn);
  const ending = new AbortController();
  const request = { kind: 'dirty-rate', mode, calcTimeMs: SPAN_MS, samplePages: 512 } as const;
  const measuring = measureDirtyRate(machine, request, clock, new Random(1), ending.signal);
  const writing = (async () => {
    for (let step = 0; step < 10; step += 1) {
      await clock.sleep(50);
      for (let pfn = 0; pfn < hot; pfn += 1) machine.write(pfn);
      if (clock.nowMs() >= endAtMs) ending.abort();
      await clock.sleep(40);
    }
  })();
  await clock.runUntil(Promise.all([measuring, writing]));
  return measuring;
}

test('dirty-bitmap counts each dirtied page once, and tells which vCPU wrote it', async () => {
  const rate = await measure('dirty-bitmap', 320);
  expect(rate.measuredMs).toBe(SPAN_MS);
  expect(rate.bytesPerSecond).toBe(320 * PAGE_BYTES);
  // SimMachine gives even pages to the one vCPU, odd ones to the other.
  expect(rate.vcpuBytesPerSecond).toEqual([160 * PAGE_BYTES, 160 * PAGE_BYTES]);
});

test('a guest that writes nothing has a rate of 0', async () => {
  expect((await measure('dirty-bitmap', 0)).bytesPerSecond).toBe(0);
  expect((await measure('page-sampling', 0)).bytesPerSecond).toBe(0);
});

test('page-sampling estimates the same from samples', async () => {
  const whole = await measure('page-sampling', 512);
  const half = await measure('page-sampling', 256);
  // It sees contents: some writes of this guest leave a page as it was.
  expect(whole.bytesPerSecond / PAGE_BYTES).toBeGreaterThan(350);
  expect(whole.bytesPerSecond / PAGE_BYTES).toBeLessThanOrEqual(512);
  expect(half.bytesPerSecond / whole.bytesPerSecond).toBeGreaterThan(0.4);
  expect(half.bytesPerSecond / whole.bytesPerSecond).toBeLessThan(0.6);
  expect(half.vcpuBytesPerSecond).toBeUndefined();
});

test('a measurement that is ended early tells of the time that it had', async () => {
  const rate = await measure('dirty-bitmap', 100, 50);
  expect(rate.measuredMs).toBe(50);
  expect(rate.bytesPerSecond).toBe(100 * PAGE_BYTES * 20);
});
