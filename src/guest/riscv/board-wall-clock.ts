import { systemWallClock, type WallClock } from '../../base/index.ts';

/** The first moment of 2026: any that a kernel takes for a time of day. */
const STILL_US = Date.UTC(2026, 0, 1) * 1000;

/**
 * What a guest's clock of the wall goes by. One whose run is to be repeated meets the same time in
 * each run; so that stands still.
 */
export function boardWallClock(isDeterministic: boolean): WallClock {
  return isDeterministic ? () => STILL_US : systemWallClock;
}
