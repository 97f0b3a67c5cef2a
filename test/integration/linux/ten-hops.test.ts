import { expect, test } from 'vitest';
import { LINUX_LIMIT_MS } from './linux-stage.ts';
import { MODES, Shuttle } from './shuttle.ts';

/**
 * Goal: ten hops in each direction leave a Debian as it was: while it boots, while sqlite works,
 * and while redis-benchmark runs. Method: each hop compares both RAMs and the guest's time; the
 * loads check what they have done; the kernel's log knows of nothing.
 */

const HOPS_EACH_WAY = 10;
const HOPS = 2 * HOPS_EACH_WAY;
const POLICIES = ['auto', 'qemu', 'svard'];
/** Clark's first pass goes at 100 Mbit/s: a boot is over by then. */
const PATIENT_POLICIES = [...POLICIES, 'clark'];

/** Of a hop: each mode under each policy in turn, and each mode in both directions. */
function planOf(hop: number, policies: readonly string[]): [(typeof MODES)[number], string] {
  const turn = Math.floor(hop / MODES.length);
  const mode = MODES[(hop + turn) % MODES.length] ?? 'precopy';
  return [mode, policies[turn % policies.length] ?? 'auto'];
}

test(
  'ten hops there and ten back while Debian boots',
  async ({ skip }) => {
    const ways = { there: 0, back: 0 };
    const total = () => ways.there + ways.back;
    // A boot is over after some of them, on a quick host sooner: as many boots as it takes.
    while (Math.min(ways.there, ways.back) < HOPS_EACH_WAY) {
      const debian = await Shuttle.start('sterna_init=idle', skip);
      const isBooting = () => !debian.printed.includes('sterna: init');
      const before = total();
      while (isBooting() && Math.min(ways.there, ways.back) < HOPS_EACH_WAY) {
        await debian.hop(...planOf(total(), POLICIES));
        // One that ends behind the boot was not one during the boot.
        if (!isBooting()) break;
        ways[debian.isAway ? 'there' : 'back'] += 1;
      }
      expect(total()).toBeGreaterThan(before);
      await debian.says(/^sterna: idle ready/m);
      debian.type('stop\n');
      await debian.says(/^sterna: idle ok/m);
      await debian.expectSound();
      await debian.pair.close();
    }
  },
  LINUX_LIMIT_MS,
);

const LOADS = [
  ['sqlite-load', 'sqlite_batch=200', PATIENT_POLICIES, []],
  ['redis-benchmark', 'benchmark_requests=50', POLICIES, ['xbzrle', 'lz4']],
] as const;

test.for(LOADS)(
  'ten hops there and ten back during %s',
  { timeout: LINUX_LIMIT_MS },
  async ([load, settings, policies, kinds], { skip }) => {
    const debian = await Shuttle.start(`sterna_init=${load} ${settings}`, skip);
    if (kinds.length > 0) await debian.enableEverything();
    await debian.says(/^load \d+ ok/m);
    while (debian.hops < HOPS) {
      await debian.hop(...planOf(debian.hops, policies));
      await debian.goesOn(/load \d+ ok/);
    }
    expect(debian.ways).toEqual({ there: HOPS_EACH_WAY, back: HOPS_EACH_WAY });
    expect([...debian.pageKinds]).toEqual(expect.arrayContaining([...kinds]));
    debian.type('stop\n');
    await debian.says(new RegExp(`^sterna: ${load} ok`, 'm'));
    await debian.expectSound();
  },
);
