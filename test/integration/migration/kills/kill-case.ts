import { expect } from 'vitest';
import type { FaultPoint } from '../../../../src/base/index.ts';
import { SternaError } from '../../../../src/base/index.ts';
import { until } from '../../../support/until.ts';
import type { Judge } from '../frame-link.ts';
import type { TestGuest } from '../test-guest.ts';
import { KillSite, type Side, sideOf } from './kill-site.ts';

export interface KillCase {
  readonly guest: TestGuest;
  readonly mode: 'precopy' | 'stop' | 'postcopy' | 'hybrid';
  /** Where the process dies, and the how manieth time it gets there. */
  readonly point: FaultPoint;
  readonly nth?: number;
  /** A link between the two that does this to frames. */
  readonly judge?: Judge;
}

/** Up to four processes start, on a host that may have other work. */
export const KILL_LIMIT_MS = 90_000;

const OVER = ['failed', 'completed', 'cancelled'];
/** What a side says that waits for the other one to come back. */
const WAITING = ['postcopy-paused', 'postcopy-recover-setup', 'postcopy-recover'];

/**
 * Kills a side at a moment of a migration, starts it again from its state directory, and looks: at
 * most one side runs the guest at any time; exactly one does in the end, by itself or because an
 * operator has decided; its memory, where all of it is there, is one that the guest can have left.
 */
export async function kill({ guest, mode, point, nth = 1, judge }: KillCase): Promise<void> {
  const site = new KillSite(guest);
  try {
    const dying = sideOf(point);
    const fault = `${point}@${nth}`;
    await site.start('source', dying === 'source' ? fault : undefined);
    await site.start('destination', dying === 'destination' ? fault : undefined);
    await site.migrate(parametersOf(mode), { judge });
    await site.hasDied(dying);
    await expectOneAtMost(site);
    await restart(site, dying);
    await settle(site);
    await expectOneAtMost(site);
    if ((await site.runners()).length === 0) await decide(site);
    await expectExactlyOne(site);
  } catch (thrown) {
    throw new Error(`${mode} ${point}: ${String(thrown)}\n${site.logs()}`, { cause: thrown });
  } finally {
    await site.end();
  }
}

function parametersOf(mode: KillCase['mode']): object {
  return {
    'x-mode': mode,
    // Long enough that a death falls into the middle of post-copy.
    'max-postcopy-bandwidth': 8 * 2 ** 20,
    // Pre-copy alone cannot keep to that.
    // And the guest always writes something meanwhile.
    ...(mode === 'hybrid' ? { 'downtime-limit': 0, 'max-bandwidth': 16 * 2 ** 20 } : {}),
  };
}

/** A source that may not build its guest by its record says so, and stays away. */
async function restart(site: KillSite, side: Side): Promise<void> {
  try {
    await site.start(side);
  } catch (thrown) {
    expect(side).toBe('source');
    expect(thrown).toBeInstanceOf(SternaError);
    expect(JSON.stringify((thrown as SternaError).detail)).toMatch(/E_OWNERSHIP_UNKNOWN|E_STATE/);
  }
}

/** Both have drawn their conclusions, or wait for one that does not come back. */
async function settle(site: KillSite): Promise<void> {
  await until('both sides to settle', async () => {
    for (const side of ['source', 'destination'] as const) {
      if (!site.has(side)) continue;
      const status = await site.status(side);
      const other = side === 'source' ? 'destination' : 'source';
      const waits = WAITING.includes(status) && !site.has(other);
      if (!OVER.includes(status) && !['none', 'setup'].includes(status) && !waits) return undefined;
    }
    return true;
  });
}

/** Nobody runs: the operator takes the guest back where it is, or begins anew. */
async function decide(site: KillSite): Promise<void> {
  const record = site.record('source');
  if (site.has('source')) await site.ask('source', 'cont', { 'x-take-ownership': true });
  else await site.start('source', undefined, ['--take-ownership']);
  expect(record).toMatch(/^(granting|granted|lost|owner) /);
}

async function expectOneAtMost(site: KillSite): Promise<void> {
  expect((await site.runners()).length).toBeLessThanOrEqual(1);
}

async function expectExactlyOne(site: KillSite): Promise<void> {
  const [runner, ...others] = await site.runners();
  expect(others).toEqual([]);
  if (runner === undefined) throw new Error('Nobody runs the guest');
  expect(site.record(runner)).toMatch(/^owner /);
  const place = site.place(runner);
  if (!WAITING.includes(await site.status(runner))) return site.guest.check(place);
  // Pages that only a dead source had are missing for good.
  expect(runner).toBe('destination');
  await site.guest.checkTorn(place);
}
