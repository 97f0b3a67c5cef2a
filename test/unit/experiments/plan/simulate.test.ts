import { expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import { defaultPlanParameters } from '../../../../src/experiments/plan/make-plan.ts';
import { PageCosts } from '../../../../src/experiments/plan/page-costs.ts';
import type { PlanCandidate, PlanCosts } from '../../../../src/experiments/plan/plan-setup.ts';
import { simulateMigration } from '../../../../src/experiments/plan/simulate.ts';
import { TraceGuest } from '../../../../src/experiments/plan/trace-guest.ts';
import { builtInPolicy, type Policy } from '../../../../src/source/index.ts';
import { type SweepOptions, sweep } from './guests.ts';

/** So that the wire alone counts. */
const FREE: PlanCosts = {
  setupMs: 0,
  switchMs: 0,
  encodeMsPerPage: { raw: 0, xbzrle: 0, lz4: 0 },
  pushMsPerPage: 0,
  faultMs: 0,
};
/** 64 MiB of RAM at 10 pages a millisecond: V / B is about 1.6 s. */
const RAM_PAGES = 16_384;
const PAGES_PER_MS = 10;
const WIRE_PAGE_BYTES = PAGE_BYTES + 16;

function simulate(
  guest: Partial<SweepOptions>,
  candidate: PlanCandidate,
  parameters: { readonly downtimeLimitMs?: number; readonly xbzrleCacheBytes?: number } = {},
  policy = builtInPolicy('auto') as Policy,
) {
  const trace = sweep({ ramPages: RAM_PAGES, hotPages: 4096, pagesPerInterval: 0, ...guest });
  return simulateMigration({
    guest: new TraceGuest(trace),
    pages: new PageCosts(trace),
    ramBlocks: trace.header.ramBlocks,
    intervalMs: 10,
    link: { bytesPerMs: PAGES_PER_MS * WIRE_PAGE_BYTES, roundTripMs: 0 },
    parameters: { ...defaultPlanParameters(), ...parameters },
    costs: FREE,
    policy,
    candidate,
    meterExcess: 1,
    startMs: 0,
  });
}

const V_MS = RAM_PAGES / PAGES_PER_MS;
const V_BYTES = RAM_PAGES * PAGE_BYTES;
const PRECOPY = { mode: 'precopy', codec: 'raw' } as const;

/** Within so many percent of what was computed by hand. */
function expectNear(actual: number, expected: number, percent: number): void {
  expect(actual).toBeGreaterThan(expected * (1 - percent / 100));
  expect(actual).toBeLessThan(expected * (1 + percent / 100));
}

test('stop-and-copy stands still for V / B', () => {
  const { downtimeMs, totalMs, wireBytes } = simulate({}, { mode: 'stop', codec: 'raw' });
  expectNear(downtimeMs, V_MS, 1);
  expect(totalMs).toBe(downtimeMs);
  expectNear(wireBytes, V_BYTES, 1);
});

test('post-copy sends each page once, in V / B, whatever the guest does', () => {
  for (const pagesPerInterval of [0, 50, 400]) {
    const found = simulate({ pagesPerInterval }, { mode: 'postcopy', codec: 'raw' });
    expectNear(found.totalMs, V_MS, 1);
    expectNear(found.wireBytes, V_BYTES, 1);
    expect(found.downtimeMs).toBeLessThan(1);
    expect(found.slowdown > 0).toBe(pagesPerInterval > 0);
  }
});

test('an idle guest needs one pass of pre-copy', () => {
  const found = simulate({}, PRECOPY);
  expectNear(found.totalMs, V_MS, 1);
  expectNear(found.wireBytes, V_BYTES, 1);
  expect(found.passes).toHaveLength(1);
});

test('with D < B, data and time are V / (1 - r) until the hot set ends it', () => {
  // r = 0.5, and a hot set that no pass exhausts.
  const found = simulate({ pagesPerInterval: 50, hotPages: RAM_PAGES, intervals: 327 }, PRECOPY, {
    downtimeLimitMs: 20,
  });
  expect(found.outcome).toBe('completed');
  expectNear(found.wireBytes, V_BYTES / (1 - 0.5), 8);
  expectNear(found.totalMs, V_MS / (1 - 0.5), 8);
  // Each pass is half as long as the one before.
  for (const [index, pass] of found.passes.slice(0, 4).entries()) {
    expectNear(pass.dirtyPages, RAM_PAGES * 0.5 ** index, 8);
  }
});

test('with D > B, stopping costs H / B at least, or it never ends', () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096 };
  const patient: Policy = { name: 'patient', decide: () => ({ action: 'iterate' }) };
  expect(simulate(guest, PRECOPY, {}, patient).outcome).toBe('endless');
  const third: Policy = {
    name: 'third',
    decide: ({ pass }) =>
      pass < 3 ? { action: 'iterate' } : { action: 'stop-and-copy', reason: 'enough' },
  };
  const found = simulate(guest, PRECOPY, {}, third);
  expectNear(found.downtimeMs, 4096 / PAGES_PER_MS, 15);
});

test('deltas converge in the window B < D < B-with-deltas', () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096, deltaBytes: 100 };
  const plain = simulate(guest, PRECOPY, { downtimeLimitMs: 100 });
  const delta = simulate(guest, { mode: 'precopy', codec: 'xbzrle' }, { downtimeLimitMs: 100 });
  expect(delta.outcome).toBe('completed');
  expect(delta.downtimeMs).toBeLessThanOrEqual(100);
  expect(plain.outcome === 'completed' && plain.downtimeMs <= 100).toBe(false);
  // The hot set is sent whole once: the first pass keeps it.
  expectNear(delta.wireBytes, V_BYTES + 4096 * (WIRE_PAGE_BYTES - PAGE_BYTES + 100), 2);
});

test('a cache that is too small for the hot set gives nothing', () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096, deltaBytes: 100 };
  const xbzrle = { mode: 'precopy', codec: 'xbzrle' } as const;
  const tight = simulate(guest, xbzrle, { downtimeLimitMs: 100, xbzrleCacheBytes: 2 ** 20 });
  expect(tight.outcome === 'completed' && tight.downtimeMs <= 100).toBe(false);
});

test('hybrid sends RAM once and what was dirtied in the first pass', () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096 };
  const found = simulate(guest, { mode: 'hybrid', codec: 'raw' });
  expect(found.decision?.action).toBe('postcopy');
  expectNear(found.wireBytes, V_BYTES + 4096 * WIRE_PAGE_BYTES, 2);
  expectNear(found.totalMs, V_MS + 4096 / PAGES_PER_MS, 5);
});

test('zero pages cost an entry', () => {
  const found = simulate({ zeroShare: 0.5 }, PRECOPY);
  expectNear(found.wireBytes, V_BYTES / 2, 2);
});
