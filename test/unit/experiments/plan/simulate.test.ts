import { expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import { defaultPlanParameters, makePlan } from '../../../../src/experiments/plan/make-plan.ts';
import type { AskedPolicy } from '../../../../src/experiments/plan/model/asked-policy.ts';
import { PageCosts } from '../../../../src/experiments/plan/model/page-costs.ts';
import { TraceGuest } from '../../../../src/experiments/plan/model/trace-guest.ts';
import type {
  PlanCandidate,
  PlanCosts,
  PlanParameters,
} from '../../../../src/experiments/plan/plan-setup.ts';
import { simulateMigration } from '../../../../src/experiments/plan/simulate.ts';
import { builtInPolicy, type Policy, type PolicyModule } from '../../../../src/source/index.ts';
import { type SweepOptions, sweep } from './guests.ts';

/** So that the wire alone counts. */
const FREE: PlanCosts = {
  setupMs: 0,
  switchMs: 0,
  pageMs: 0,
  deltaMs: 0,
  lz4Ms: 0,
  lz4Helpers: 0,
  pushMsPerPage: 0,
  faultMs: 0,
};
/** 64 MiB of RAM at 10 pages a millisecond: V / B is about 1.6 s. */
const RAM_PAGES = 16_384;
const PAGES_PER_MS = 10;
const WIRE_PAGE_BYTES = PAGE_BYTES + 16;

/** Reordering is looked at by itself; else pages go ascending, as the formulas have it. */
function simulate(
  guest: Partial<SweepOptions>,
  candidate: PlanCandidate,
  parameters: Partial<PlanParameters> = {},
  policy = builtInPolicy('auto') as Policy,
  costs = FREE,
) {
  const trace = sweep({ ramPages: RAM_PAGES, hotPages: 4096, pagesPerInterval: 0, ...guest });
  return simulateMigration({
    guest: new TraceGuest(trace),
    pages: new PageCosts(trace),
    ramBlocks: trace.header.ramBlocks,
    vcpuCount: trace.header.vcpuCount,
    intervalMs: 10,
    link: { bytesPerMs: PAGES_PER_MS * WIRE_PAGE_BYTES, roundTripMs: 0 },
    parameters: { ...defaultPlanParameters(), reorder: false, ...parameters },
    costs,
    policy: asked(policy),
    candidate,
    meterExcess: 1,
    startMs: 0,
  });
}

function asked(policy: Policy): AskedPolicy {
  return {
    begin: async (start) => policy.begin?.(start) ?? {},
    decide: async (round) => policy.decide(round),
  };
}

const V_MS = RAM_PAGES / PAGES_PER_MS;
const V_BYTES = RAM_PAGES * PAGE_BYTES;
const PRECOPY = { mode: 'precopy', codec: 'raw' } as const;

/** Within so many percent of what was computed by hand. */
function expectNear(actual: number, expected: number, percent: number): void {
  expect(actual).toBeGreaterThan(expected * (1 - percent / 100));
  expect(actual).toBeLessThan(expected * (1 + percent / 100));
}

test('stop-and-copy stands still for V / B', async () => {
  const { downtimeMs, totalMs, wireBytes } = await simulate({}, { mode: 'stop', codec: 'raw' });
  expectNear(downtimeMs, V_MS, 1);
  expect(totalMs).toBe(downtimeMs);
  expectNear(wireBytes, V_BYTES, 1);
});

test('post-copy sends each page once, in V / B, whatever the guest does', async () => {
  for (const pagesPerInterval of [0, 50, 400]) {
    const found = await simulate({ pagesPerInterval }, { mode: 'postcopy', codec: 'raw' });
    expectNear(found.totalMs, V_MS, 1);
    expectNear(found.wireBytes, V_BYTES, 1);
    expect(found.downtimeMs).toBeLessThan(1);
    expect(found.slowdown > 0).toBe(pagesPerInterval > 0);
  }
});

test('an idle guest needs one pass of pre-copy', async () => {
  const found = await simulate({}, PRECOPY);
  expectNear(found.totalMs, V_MS, 1);
  expectNear(found.wireBytes, V_BYTES, 1);
  expect(found.passes).toHaveLength(1);
});

test('with D < B, data and time are V / (1 - r) until the hot set ends it', async () => {
  // r = 0.5, and a hot set that no pass exhausts.
  const found = await simulate(
    { pagesPerInterval: 50, hotPages: RAM_PAGES, intervals: 327 },
    PRECOPY,
    {
      downtimeLimitMs: 20,
    },
  );
  expect(found.outcome).toBe('completed');
  expectNear(found.wireBytes, V_BYTES / (1 - 0.5), 8);
  expectNear(found.totalMs, V_MS / (1 - 0.5), 8);
  // Each pass is half as long as the one before.
  for (const [index, pass] of found.passes.slice(0, 4).entries()) {
    expectNear(pass.dirtyPages, RAM_PAGES * 0.5 ** index, 8);
  }
});

test('with D > B, stopping costs H / B at least, or it never ends', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096 };
  const patient: Policy = { name: 'patient', decide: () => ({ action: 'iterate' }) };
  expect((await simulate(guest, PRECOPY, {}, patient)).outcome).toBe('endless');
  const third: Policy = {
    name: 'third',
    decide: ({ pass }) =>
      pass < 3 ? { action: 'iterate' } : { action: 'stop-and-copy', reason: 'enough' },
  };
  const found = await simulate(guest, PRECOPY, {}, third);
  expectNear(found.downtimeMs, 4096 / PAGES_PER_MS, 15);
});

test('deltas converge in the window B < D < B-with-deltas', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096, deltaBytes: 100 };
  const plain = await simulate(guest, PRECOPY, { downtimeLimitMs: 100 });
  const delta = await simulate(
    guest,
    { mode: 'precopy', codec: 'xbzrle' },
    { downtimeLimitMs: 100 },
  );
  expect(delta.outcome).toBe('completed');
  expect(delta.downtimeMs).toBeLessThanOrEqual(100);
  expect(plain.outcome === 'completed' && plain.downtimeMs <= 100).toBe(false);
  // The hot set is sent whole once: the first pass keeps it.
  expectNear(delta.wireBytes, V_BYTES + 4096 * (WIRE_PAGE_BYTES - PAGE_BYTES + 100), 2);
});

test('a cache that is too small for the hot set gives nothing', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096, deltaBytes: 100 };
  const xbzrle = { mode: 'precopy', codec: 'xbzrle' } as const;
  const tight = await simulate(guest, xbzrle, { downtimeLimitMs: 100, xbzrleCacheBytes: 2 ** 20 });
  expect(tight.outcome === 'completed' && tight.downtimeMs <= 100).toBe(false);
});

test('hybrid sends RAM once and what was dirtied in the first pass', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096 };
  const found = await simulate(guest, { mode: 'hybrid', codec: 'raw' });
  expect(found.decision?.action).toBe('postcopy');
  expectNear(found.wireBytes, V_BYTES + 4096 * WIRE_PAGE_BYTES, 2);
  expectNear(found.totalMs, V_MS + 4096 / PAGES_PER_MS, 5);
});

test('zero pages cost an entry', async () => {
  const found = await simulate({ zeroShare: 0.5 }, PRECOPY);
  expectNear(found.wireBytes, V_BYTES / 2, 2);
});

test('zeros of the first pass say nothing of what is left after it', async () => {
  const told: number[] = [];
  const policy: Policy = {
    name: 'listening',
    decide: ({ wireBytesPerPage }) => {
      told.push(wireBytesPerPage);
      return { action: 'stop-and-copy', reason: 'enough' };
    },
  };
  const guest = { zeroShare: 0.9, pagesPerInterval: 10 };
  for (const codec of ['raw', 'xbzrle'] as const) {
    await simulate(guest, { mode: 'precopy', codec }, {}, policy);
  }
  expect(told.length).toBeGreaterThanOrEqual(2);
  for (const bytes of told) expectNear(bytes, WIRE_PAGE_BYTES, 1);
});

test('a page that is dirtied before its turn goes once, where reordering looks at the log', async () => {
  // All hot pages are written anew several times within the first pass.
  const guest = { pagesPerInterval: 400, hotPages: 4096 };
  const third: Policy = {
    name: 'third',
    decide: ({ pass }) =>
      pass < 3 ? { action: 'iterate' } : { action: 'stop-and-copy', reason: 'enough' },
  };
  const [off, on] = [
    await simulate(guest, PRECOPY, { reorder: false }, third),
    await simulate(guest, PRECOPY, { reorder: true }, third),
  ];
  // The hot ones go last, when the guest has had its way with most of them.
  expect(on.wireBytes).toBeLessThan(off.wireBytes);
  expect(on.passes[0]?.sentPages).toBe(RAM_PAGES);
  expect(on.passes[0]?.remainingPages).toBeLessThan(off.passes[0]?.remainingPages ?? 0);
  // What was written is told alike, whichever order the pages went in.
  expect(on.passes[0]?.dirtiedPages).toBe(off.passes[0]?.dirtiedPages);
});

/** Half of a page is noise. */
const PACKING = { lz4Bytes: PAGE_BYTES / 2 };
const LZ4 = { mode: 'precopy', codec: 'lz4' } as const;

test('LZ4 halves data and time of pages that it makes half as long, on a slow link', async () => {
  const [raw, lz4] = [await simulate(PACKING, PRECOPY), await simulate(PACKING, LZ4)];
  expectNear(lz4.wireBytes, raw.wireBytes / 2, 2);
  expectNear(lz4.totalMs, raw.totalMs / 2, 2);
});

test('LZ4 is left alone where the encoder is slower than the link', async () => {
  const slow: PlanCosts = { ...FREE, pageMs: 0.02, lz4Ms: 0.5 };
  const auto = builtInPolicy('auto') as Policy;
  const [raw, lz4] = [
    await simulate(PACKING, PRECOPY, {}, auto, slow),
    await simulate(PACKING, LZ4, {}, auto, slow),
  ];
  expect(lz4.totalMs).toBe(raw.totalMs);
  expect(lz4.wireBytes).toBe(raw.wireBytes);
});

test('LZ4 is left off for two spans, to see what the link brings without it', async () => {
  // A third of what the link needs for a page: to be tried, and well worth it.
  const tried: PlanCosts = { ...FREE, lz4Ms: 0.03 };
  const auto = builtInPolicy('auto') as Policy;
  const [free, found] = [
    await simulate(PACKING, LZ4),
    await simulate(PACKING, LZ4, {}, auto, tried),
  ];
  // 80 ms of the link, in which each page takes half a page more.
  const more = (80 * PAGES_PER_MS * PAGE_BYTES) / 2;
  expectNear(found.wireBytes - free.wireBytes, more, 2);
});

test('LZ4 of whole pages and deltas go together', async () => {
  const guest = { ...PACKING, pagesPerInterval: 400, hotPages: 4096, deltaBytes: 100 };
  const limit = { downtimeLimitMs: 100 };
  const delta = await simulate(guest, { mode: 'precopy', codec: 'xbzrle' }, limit);
  const both = await simulate(guest, { mode: 'precopy', codec: 'xbzrle+lz4' }, limit);
  expect(both.outcome).toBe('completed');
  expect(both.wireBytes).toBeLessThan(0.6 * delta.wireBytes);
});

test('auto-converge slows a guest until it converges, and tells what that costs it', async () => {
  const guest = { pagesPerInterval: 150, hotPages: RAM_PAGES, intervals: 110 };
  expect((await simulate(guest, PRECOPY, { downtimeLimitMs: 20 })).outcome).toBe('endless');
  const slowed = { ...PRECOPY, slowing: 'auto-converge' } as const;
  const found = await simulate(guest, slowed, { downtimeLimitMs: 20 });
  expect(found.outcome).toBe('completed');
  expect(found.downtimeMs).toBeLessThanOrEqual(20);
  expect(found.slowdown).toBeGreaterThan(0.1);
  expect(found.passes.at(-1)?.throttlePercent).toBeGreaterThan(20);
});

test('a guest that waits most of its time is not slowed before it sleeps longer than that', async () => {
  const guest = { pagesPerInterval: 150, hotPages: RAM_PAGES, intervals: 110 };
  const slowed = { ...PRECOPY, slowing: 'auto-converge' } as const;
  const busy = await simulate(guest, slowed, { downtimeLimitMs: 20 });
  const waiting = await simulate({ ...guest, busyShare: 0.3 }, slowed, { downtimeLimitMs: 20 });
  expect(waiting.outcome).toBe('completed');
  const throttles = waiting.passes.map(({ throttlePercent }) => throttlePercent);
  expect(Math.max(...throttles)).toBeGreaterThan(70);
  // Up to there each step was for nothing.
  const inVain = waiting.passes.filter(({ throttlePercent }) => throttlePercent <= 70);
  expect(inVain.every(({ dirtiedPages }) => dirtiedPages >= inVain[1]!.dirtiedPages)).toBe(true);
  // Five steps more, each of which waits for what the one before has brought.
  expect(waiting.totalMs).toBeGreaterThan(busy.totalMs + 5 * 250);
});

test('a guest that must be slowed much is not given up while it is slowed further', async () => {
  const guest = { pagesPerInterval: 1000, hotPages: RAM_PAGES, intervals: 110 };
  const slowed = { ...PRECOPY, slowing: 'auto-converge' } as const;
  const found = await simulate(guest, slowed, { downtimeLimitMs: 20 });
  expect(found.outcome).toBe('completed');
  expect(found.passes.at(-1)?.throttlePercent).toBeGreaterThan(80);
  // As often as a guest is given up that is not slowed.
  expect(found.wireBytes).toBeGreaterThan(8 * V_BYTES);
});

test('a dirty limit slows a guest to it, and no further', async () => {
  const guest = { pagesPerInterval: 150, hotPages: RAM_PAGES, intervals: 110 };
  const limited = { ...PRECOPY, slowing: 'dirty-limit' } as const;
  const parameters = { downtimeLimitMs: 20, vcpuDirtyLimitMegabytesPerSecond: 10 };
  const found = await simulate(guest, limited, parameters);
  expect(found.outcome).toBe('completed');
  expect(found.slowdown).toBeGreaterThan(0.1);
  const loose = await simulate(guest, limited, {
    ...parameters,
    vcpuDirtyLimitMegabytesPerSecond: 1000,
  });
  expect(loose.outcome).toBe('endless');
  expect(loose.slowdown).toBe(0);
});

test('hybrid sends the missing pages as deltas, where the cache has them', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096, deltaBytes: 100 };
  const plain = await simulate(guest, { mode: 'hybrid', codec: 'raw' });
  const delta = await simulate(guest, { mode: 'hybrid', codec: 'xbzrle' });
  expect(delta.decision?.action).toBe('postcopy');
  expect(delta.wireBytes).toBeLessThan(plain.wireBytes - 3000 * PAGE_BYTES);
});

test('hybrid with LZ4 is recommended where pages pack well, and pre-copy does not end', async () => {
  const trace = sweep({ ...PACKING, ramPages: RAM_PAGES, hotPages: 4096, pagesPerInterval: 400 });
  const { recommendation } = await makePlan({
    trace,
    link: { bytesPerMs: PAGES_PER_MS * WIRE_PAGE_BYTES, roundTripMs: 0 },
    parameters: { ...defaultPlanParameters(), downtimeLimitMs: 50 },
  });
  expect(recommendation).toMatchObject({ mode: 'hybrid', codec: 'lz4' });
});

test("a user's own policy decides, and gives way to auto when it is of no use", async () => {
  const trace = sweep({ ramPages: 4096, hotPages: 256, pagesPerInterval: 2 });
  const link = { bytesPerMs: 40_000, roundTripMs: 0 };
  const plan = (decide: PolicyModule['decide']) =>
    makePlan({
      ...{ trace, link, parameters: defaultPlanParameters(), policy: '/mine.js' },
      policyModule: { begin: async () => ({}), decide, close: () => {} },
    });
  const mine = await plan(async ({ pass }) =>
    pass < 4 ? { action: 'iterate' } : { action: 'stop-and-copy', reason: 'enough' },
  );
  expect(mine.policy).toBe('/mine.js');
  expect(mine.policyFallback).toBeUndefined();
  expect(mine.rows.find(({ mode }) => mode === 'precopy')?.passes).toBe(4);
  const nonsense = await plan(async () => 'no decision');
  expect(nonsense.policy).toBe('auto');
  expect(nonsense.policyFallback).toBeDefined();
  expect(nonsense.rows.find(({ mode }) => mode === 'precopy')?.outcome).toBe('completed');
});

test('passes that are short, and never leave little enough, are given up', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096, deltaBytes: 4 };
  const xbzrle = { mode: 'precopy', codec: 'xbzrle' } as const;
  const never: Policy = { name: 'never', decide: () => ({ action: 'iterate' }) };
  const found = await simulate(guest, xbzrle, {}, never);
  expect(found.outcome).toBe('endless');
  expect(found.passes.length).toBeLessThanOrEqual(1000);
  expect(found.totalMs).toBeLessThan(30_000);
});

test('a timeout of an hour ends what would never end, after an hour of it', async () => {
  const guest = { pagesPerInterval: 400, hotPages: 4096 };
  const hour = { timeoutMs: 3_600_000, timeoutAction: 'suspend' } as const;
  const found = await simulate(guest, PRECOPY, { downtimeLimitMs: 20, ...hour });
  expect(found.outcome).toBe('completed');
  expect(found.decision).toMatchObject({ reason: 'timeout' });
  expectNear(found.totalMs, 3_600_000, 1);
  expectNear(found.wireBytes, 3_600_000 * PAGES_PER_MS * WIRE_PAGE_BYTES, 2);
});
