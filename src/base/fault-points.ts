import { SternaError } from './errors.ts';

/**
 * Moments at which a process may die without harm to anybody but itself. A test ends the process
 * there, in every mode, and looks at who owns the guest afterwards.
 */
export const FAULT_POINTS = [
  // The source, in the order of a migration.
  'source.hello-sent',
  'source.first-pass-sent',
  'source.paused',
  'source.switchover-sent',
  'source.before-granting-recorded',
  'source.after-granting-recorded',
  'source.after-grant-sent',
  'source.after-resumed',
  'source.after-granted-recorded',
  'source.postcopy-page-sent',
  'source.postcopy-request-served',
  'source.postcopy-end-sent',
  'source.journal-applied',
  'source.spill-piece-written',
  'source.spill-durable',
  'source.spill-removed',
  'source.recover-connected',
  'source.recover-asked',
  'source.recover-answered',
  'source.before-owner-recorded',
  'source.after-owner-recorded',
  'source.file-before-rename',
  'source.file-after-rename',
  // The destination.
  'destination.before-preparing',
  'destination.after-preparing',
  'destination.page-applied',
  'destination.loaded',
  'destination.grant-received',
  'destination.before-owner-recorded',
  'destination.after-owner-recorded',
  'destination.running',
  'destination.after-resumed-sent',
  'destination.before-abandoned-recorded',
  'destination.after-abandoned-recorded',
  'destination.postcopy-requested',
  'destination.postcopy-page-applied',
  'destination.all-received-sent',
  'destination.recover-asked',
  'destination.recover-answered',
  'destination.map-sent',
  'destination.journal-written',
] as const;

/** The name of such a moment. */
export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Called by an engine each time it reaches one. In production it does nothing. */
export type ReachFault = (point: FaultPoint) => void;

/** `NAME` or `NAME@N`: the N-th time that it is reached, counted from 1. */
export interface PlannedFault {
  readonly point: FaultPoint;
  readonly nth: number;
}

/** Reads `text`, the value of STERNA_FAULT. Throws E_CONFIG_INVALID. */
export function parseFaultPoint(text: string): PlannedFault {
  const [, name = '', count = '1'] = /^([a-z.-]+)(?:@([1-9][0-9]{0,8}))?$/.exec(text) ?? [];
  const point = FAULT_POINTS.find((known) => known === name);
  if (point !== undefined) return { point, nth: Number(count) };
  throw new SternaError('E_CONFIG_INVALID', `STERNA_FAULT names no fault point: ${text}`, {
    detail: { expected: 'NAME or NAME@N', names: FAULT_POINTS.join(' ') },
  });
}

/** Counts, and does `strike` once, when the planned moment has come. */
export function reachFault(fault: PlannedFault | undefined, strike: () => void): ReachFault {
  if (fault === undefined) return () => {};
  let count = 0;
  return (point) => {
    if (point !== fault.point) return;
    count += 1;
    if (count === fault.nth) strike();
  };
}
