import { expect } from 'vitest';
import { systemWallClock } from '../../../../src/base/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../../support/riscv-guest.ts';

/** A guest asks what time it is, sets its clock ahead, and asks again where it is by then. */

const AHEAD_NS = 16_000_000_000_000_000n;
const hostNs = () => BigInt(systemWallClock()) * 1000n;

function said(guest: RiscvGuest, what: string): bigint {
  const [, number] = new RegExp(`^${what} (\\d+)$`, 'm').exec(guest.printed) ?? [];
  return BigInt(number ?? -1);
}

guestTest(
  'a guest has the time of its host, an alarm, and its own time where it goes',
  async () => {
    const before = hostNs();
    const guest = await RiscvGuest.start({ name: 'rtc', variant: 0 });
    await guest.says('ready');
    const between = hostNs();
    expect(said(guest, 'at')).toBeGreaterThanOrEqual(before);
    expect(said(guest, 'at')).toBeLessThanOrEqual(between);
    const { source } = await guest.move({ parameters: { mode: 'stop' } });
    expect(source.status).toBe('completed');
    guest.type('.');
    await guest.passes();
    expect(said(guest, 'then')).toBeGreaterThanOrEqual(between + AHEAD_NS);
    expect(said(guest, 'then')).toBeLessThanOrEqual(hostNs() + AHEAD_NS);
  },
);

guestTest('a guest whose run is to be repeated has the same time in each run', async () => {
  const guest = await RiscvGuest.start({ name: 'rtc', variant: 1 }, { deterministic: true });
  await guest.says('ready');
  guest.type('.');
  await guest.passes();
  const first = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
  expect([said(guest, 'at'), said(guest, 'then')]).toEqual([first, first + AHEAD_NS]);
});
