import { expect } from 'vitest';
import { until } from '../../support/until.ts';
import type { Crossing } from './crossing.ts';
import type { FrameLink } from './frame-link.ts';

export const CANCELLED = { source: ['E_CANCELLED'], status: 'cancelled' } as const;
const TOLD = { ...CANCELLED, destination: ['E_CANCELLED'] } as const;

/** Messages that may be on their way when a migration is cancelled in time. */
export const IN_TIME = ['HELLO_ACK', 'STOPPED', 'MACHINE_STATE', 'SWITCHOVER', 'SWITCHOVER_ACK'];
/** And those with which it is too late. */
export const TOO_LATE = ['GRANT', 'RESUMED'];

/** Cancels when half a MiB has come, and the guest crosses then. */
export async function cancelInPass1(crossing: Crossing): Promise<void> {
  const { here, there } = crossing;
  await here.set({ 'max-bandwidth': 2 ** 21 });
  const seen = here.events.length;
  await here.migrate(await crossing.uri());
  await there.migration('pages', ({ status, ram }) => {
    return status === 'active' && (ram.transferred ?? 0) > 2 ** 19;
  });
  await here.qmp.execute('migrate_cancel');
  const reply = await crossing.fails(TOLD);
  expect(reply.ram.transferred).toBeGreaterThan(2 ** 19);
  const told = here.events.slice(seen).filter(({ data }) => data.status === 'cancelled');
  expect(told).toHaveLength(1);
  await here.set({ 'max-bandwidth': 0 });
  await crossing.succeeds();
}

/** Cancels while that message is held, and the guest crosses then. */
export async function cancelInTime(crossing: Crossing, message: string): Promise<void> {
  const { here } = crossing;
  const link = await heldAt(crossing, message);
  await here.qmp.execute('migrate_cancel');
  link.release();
  await crossing.fails(TOLD);
  expect(link.seen).not.toContain('source GRANT');
  await crossing.succeeds();
}

/** Cancels while that message is held, in vain, and the guest crosses back. */
export async function cancelTooLate(crossing: Crossing, message: string): Promise<void> {
  const { here, there } = crossing;
  const link = await heldAt(crossing, message);
  await expect(here.qmp.execute('migrate_cancel')).rejects.toMatchObject({
    sternaError: { code: 'E_STATE', guestOwner: 'unknown' },
  });
  expect(await here.isRunning()).toBe(false);
  link.release();
  await here.proven();
  await there.advances();
  await there.checkGuest();
  crossing.turn();
  await crossing.succeeds();
}

async function heldAt(crossing: Crossing, message: string): Promise<FrameLink> {
  const link = await crossing.stage.link(await crossing.uri(), ({ name }) =>
    name === message ? 'hold' : 'pass',
  );
  await crossing.here.migrate(link.uri);
  await until(message, () => link.isHeld || undefined);
  return link;
}
