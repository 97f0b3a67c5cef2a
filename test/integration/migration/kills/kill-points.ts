import type { FaultPoint } from '../../../../src/base/index.ts';
import type { Judge } from '../frame-link.ts';

/** Moments that a migration comes to in every mode. */
export const EVERY_MODE = [
  'source.hello-sent',
  'source.paused',
  'source.switchover-sent',
  'source.before-granting-recorded',
  'source.after-granting-recorded',
  'source.after-grant-sent',
  'source.after-resumed',
  'source.after-granted-recorded',
  'destination.before-preparing',
  'destination.after-preparing',
  'destination.page-applied',
  'destination.loaded',
  'destination.grant-received',
  'destination.before-owner-recorded',
  'destination.after-owner-recorded',
  'destination.running',
  'destination.after-resumed-sent',
] as const satisfies readonly FaultPoint[];

/** Moments while pages are missing. */
export const POSTCOPY = [
  'source.postcopy-page-sent',
  'source.postcopy-request-served',
  'source.postcopy-end-sent',
  'destination.postcopy-requested',
  'destination.postcopy-page-applied',
  'destination.all-received-sent',
] as const satisfies readonly FaultPoint[];

/** Moments at which a lost link is made anew. */
export const RECOVERY = [
  'source.recover-connected',
  'source.recover-asked',
  'source.recover-answered',
  'destination.recover-asked',
  'destination.recover-answered',
  'destination.map-sent',
] as const satisfies readonly FaultPoint[];

/** Moments at which an epoch is given up. */
export const TAKING_BACK = [
  'source.before-owner-recorded',
  'source.after-owner-recorded',
  'destination.before-abandoned-recorded',
  'destination.after-abandoned-recorded',
] as const satisfies readonly FaultPoint[];

/** Cuts the first connection in the middle of post-copy. */
export function cutInPostcopy(): Judge {
  let resumed = false;
  let pages = 0;
  let cut = false;
  return ({ name }) => {
    if (name === 'POSTCOPY_RESUMED') resumed = true;
    if (name === 'PAGE_BATCH' && resumed) pages += 1;
    if (cut || pages < 4) return 'pass';
    cut = true;
    return 'cut';
  };
}

/** Cuts the connection when both sides have prepared the hand-over, and nothing is granted. */
export function cutBeforeGrant(): Judge {
  return ({ name }) => (name === 'SWITCHOVER_ACK' ? 'cut' : 'pass');
}
