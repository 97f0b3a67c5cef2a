import { PROBE_DATA_BYTES_MAX } from '../../base/index.ts';

/** A frame takes about so long, so that what is under way can be bounded on a slow link too. */
const FRAME_MS = 2;
const FRAME_BYTES_MIN = 16 * 2 ** 10;
const FRAME_BYTES_UNMEASURED = 32 * 2 ** 10;
/** As a migration bounds it (`source/link-meter.ts`), so that the rate is the one it would find. */
const WINDOW_MS = 25;
const WINDOW_BYTES_MAX = 64 * 2 ** 20;
/** Small, since what is under way must have come before the probe is over: 2 s at 64 KB/s. */
const WINDOW_BYTES_MIN = 128 * 2 ** 10;
const WINDOW_BYTES_UNMEASURED = 256 * 2 ** 10;

/** Unacknowledged bytes beyond which a probe waits. Each round trip may double them. */
export function probeWindowBytes(bytesPerMs: number | undefined, roundTripMs: number): number {
  if (bytesPerMs === undefined) return WINDOW_BYTES_UNMEASURED;
  const bytes = bytesPerMs * (2 * roundTripMs + WINDOW_MS);
  return Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, bytes));
}

/** Body of the next PROBE_DATA. */
export function probeFrameBytes(bytesPerMs: number | undefined): number {
  if (bytesPerMs === undefined) return FRAME_BYTES_UNMEASURED;
  const bytes = Math.floor(bytesPerMs * FRAME_MS);
  return Math.min(PROBE_DATA_BYTES_MAX, Math.max(FRAME_BYTES_MIN, bytes));
}
