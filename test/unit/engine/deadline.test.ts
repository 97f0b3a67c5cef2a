import { describe, expect, test } from 'vitest';
import type { PolicyModule } from '../../../src/source/index.ts';
import { EnginePair } from '../../support/engine-pair.ts';
import { type FakeMachine, ramDifferences } from '../../support/fake-machine.ts';
import { pageOfNoise } from '../../support/guest-script.ts';

/** 1 s of the link. */
const PAGES = 3000;
const LINK = { bandwidthBytesPerSecond: 12.5e6, latencyMs: 0.1 };
const DEADLINE_MS = 3000;
const PATH = '/policies/mine.mjs';
const PATIENT: PolicyModule = {
  begin: async () => undefined,
  decide: async () => ({ action: 'iterate' }),
  close: () => {},
};

function fill(machine: FakeMachine, pages: number, seed: number): void {
  for (let pfn = 0; pfn < pages; pfn += 1) {
    machine.write(1, pfn, 0, pageOfNoise(seed * PAGES + pfn));
  }
}

/** A guest that writes its first `hotPages` pages all the time. */
async function migrate(hotPages: number, policy: string) {
  const pair = new EnginePair({
    link: LINK,
    ...(policy === PATH ? { policyModule: PATIENT } : {}),
    capabilities: { 'postcopy-ram': true },
    parameters: {
      mode: 'hybrid',
      postcopyAfterPasses: 0,
      postcopyPlateau: 'off',
      downtimeLimitMs: 30,
      timeoutMs: DEADLINE_MS,
      timeoutAction: 'postcopy',
      policy,
    },
    sourceHooks: { beforeFlip: (machine, flip) => flip > 1 && fill(machine, hotPages, flip) },
  });
  fill(pair.machine, PAGES, 0);
  const result = await pair.run();
  expect(result.source).toEqual({ status: 'completed', error: undefined });
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(result.sourceInfo.verify.status).toBe('identical');
  return result.sourceInfo;
}

describe('a timeout that ends in post-copy', () => {
  // 0.2 s and 0.5 s of the link are missing when post-copy begins.
  test.each([
    ['auto', 600],
    ['auto', 1500],
    ['qemu', 600],
    ['svard', 1500],
    [PATH, 1500],
  ])('is when all pages have come (%s, %d pages)', async (policy, hotPages) => {
    const info = await migrate(hotPages, policy);
    expect(info.policy?.lastDecision).toMatchObject({ action: 'postcopy', reason: 'timeout' });
    expect(info.totalTimeMs).toBeGreaterThan(DEADLINE_MS * 0.9);
    expect(info.totalTimeMs).toBeLessThanOrEqual(DEADLINE_MS * 1.05);
    // The last pass was cut, and what it had not sent followed.
    const [last, before] = info.passes.filter(({ stopped }) => !stopped).reverse();
    expect(last!.sentPages + last!.unchangedPages).toBeLessThan(last!.dirtyPages);
    expect(before!.dirtyPages).toBe(before!.sentPages + before!.unchangedPages);
    expect(info.postcopy?.missingPages).toBeGreaterThanOrEqual(hotPages);
  });

  test('leaves a guest alone that fits into the limit before', async () => {
    const info = await migrate(20, 'auto');
    expect(info.policy?.lastDecision?.reason).toBe('converged');
    expect(info.totalTimeMs).toBeLessThan(1500);
  });
});
