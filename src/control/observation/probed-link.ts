import { PROBE_MS_MAX, SternaError } from '../../base/index.ts';
import type { LinkMeasurement } from '../../source/index.ts';

const SECONDS_DEFAULT = 2;
const SECONDS_MAX = PROBE_MS_MAX / 1000;

export interface ProbeLinkArguments {
  readonly uri: string;
  readonly seconds: number | undefined;
}

/** What `x-probe-link` returns. */
export interface LinkReply {
  readonly 'bytes-per-second': number;
  readonly 'round-trip-us': number;
  readonly 'sent-bytes': number;
}

/** Throws E_CONFIG_INVALID. */
export function probeDurationMs(seconds: number = SECONDS_DEFAULT): number {
  if (seconds >= 1 && seconds <= SECONDS_MAX) return seconds * 1000;
  throw new SternaError('E_CONFIG_INVALID', `seconds is out of range[1, ${SECONDS_MAX}].`);
}

export function linkReply({ bytesPerSecond, roundTripMs, sentBytes }: LinkMeasurement): LinkReply {
  return {
    'bytes-per-second': Math.round(bytesPerSecond),
    'round-trip-us': Math.round(roundTripMs * 1000),
    'sent-bytes': sentBytes,
  };
}
