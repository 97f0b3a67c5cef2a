import type { BlocktimeInfo, MigrationInfo, PostcopyInfo } from '../../base/index.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * QEMU's members of the capability `postcopy-blocktime`, on the destination only, as there; but
 * from the moment at which the guest runs there, and not when all is over. Milliseconds and
 * nanoseconds are whole, as its schema has them.
 */
export function blocktimeFields({ side, postcopy }: MigrationInfo): Json {
  const blocktime = postcopy?.blocktime;
  if (side !== 'destination' || blocktime === undefined) return {};
  return {
    'postcopy-blocktime': Math.round(blocktime.allBlockedMs),
    'postcopy-vcpu-blocktime': blocktime.vcpuBlockedMs.map(Math.round),
    'postcopy-latency': Math.round(blocktime.meanLatencyNs),
    'postcopy-latency-dist': blocktime.latencyBuckets,
    'postcopy-vcpu-latency': blocktime.vcpuMeanLatencyNs.map(Math.round),
    // Nothing but a vCPU ever waits for a page here.
    'postcopy-non-vcpu-latency': 0,
  };
}

/** Ours under `x-sterna.postcopy`; undefined before the switch. */
export function sternaPostcopyReply({ postcopy }: MigrationInfo): Json | undefined {
  if (postcopy === undefined) return undefined;
  return {
    missing: postcopy.missingPages,
    remaining: postcopy.remainingPages,
    'duration-ms': milliseconds(postcopy.durationMs),
    requests: postcopy.requests,
    'late-requests': postcopy.lateRequests,
    duplicates: postcopy.duplicatePages,
    'waited-share': roundShare(postcopy.waitedShare),
    recoveries: postcopy.recoveries,
    'paused-ms': milliseconds(postcopy.pausedMs),
    ...(postcopy.pausedError === undefined ? {} : { 'paused-error': postcopy.pausedError }),
    'waits-for-resume': postcopy.waitsForResume,
    ...(postcopy.preemptError === undefined ? {} : { 'preempt-error': postcopy.preemptError }),
    ...blocktimeReply(postcopy.blocktime),
    ...brownoutReply(postcopy),
  };
}

/** Also on the source, which learns the sums at the end. */
function blocktimeReply(blocktime: BlocktimeInfo | undefined): Json {
  if (blocktime === undefined) return {};
  return {
    'blocktime-ms': milliseconds(blocktime.allBlockedMs),
    'vcpu-blocktime-ms': blocktime.vcpuBlockedMs.map(milliseconds),
    'latency-ms': milliseconds(blocktime.meanLatencyNs / 1e6),
    ...(blocktime.latencyP50Ms === undefined
      ? {}
      : { 'latency-p50-ms': milliseconds(blocktime.latencyP50Ms) }),
    ...(blocktime.latencyP99Ms === undefined
      ? {}
      : { 'latency-p99-ms': milliseconds(blocktime.latencyP99Ms) }),
  };
}

function brownoutReply({ brownout, brownoutSpanMs }: PostcopyInfo): Json {
  if (brownoutSpanMs === 0) return {};
  return { brownout: brownout.map(roundShare), 'brownout-span-ms': brownoutSpanMs };
}

/** To the microsecond; JSON has no way to say infinite or unknown but null. */
export function milliseconds(value: number): number | null {
  return Number.isFinite(value) ? Math.round(value * 1000) / 1000 : null;
}

function roundShare(share: number): number {
  return Math.round(share * 10_000) / 10_000;
}
