import type { MigrationInfo } from '../base/index.ts';

/** What a guest goes on from that was taken back. The fields of QMP. */
export interface TakenGuest {
  /** The last point of the journal, or the moment at which it was handed over. */
  readonly 'x-resumed-from': 'point' | 'switch';
  /** Age of that point, milliseconds. */
  readonly 'x-point-age'?: number;
}

/** Of the guest of that migration, which has come back here. */
export function takenGuest(info: MigrationInfo | undefined): TakenGuest {
  const { points = 0, lastPointMs } = info?.postcopy?.journal ?? {};
  if (points === 0 || lastPointMs === undefined) return { 'x-resumed-from': 'switch' };
  return { 'x-resumed-from': 'point', 'x-point-age': Math.round(lastPointMs) };
}
