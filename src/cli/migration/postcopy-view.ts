import type { ErrorReport } from '../../base/index.ts';
import type { Fields } from './fields.ts';
import { readError } from './reported-error.ts';

/** Post-copy, as `query-migrate` tells it: a source knows the sums, a destination everything. */
export interface PostcopyView {
  readonly missingPages: number;
  readonly remainingPages: number;
  readonly requests: number;
  /** Share of the missing pages that a vCPU waited for, 0 to 1. */
  readonly waitedShare: number;
  readonly recoveries: number;
  readonly pausedMs: number;
  readonly pausedError: ErrorReport | undefined;
  /** There is no link, and the source makes none by itself. */
  readonly waitsForResume: boolean;
  /** Undefined as long as the side does not know. */
  readonly allBlockedMs: number | undefined;
  readonly vcpuBlockedMs: readonly number[];
  readonly latencyMs: number | undefined;
  /** The N-th counts waits of 2^N to 2^(N+1) microseconds; empty at a source. */
  readonly latencyBuckets: readonly number[];
  /** Share of its time that the guest was blocked, for each span; empty at a source. */
  readonly brownout: readonly number[];
  readonly brownoutSpanMs: number;
}

/** Undefined before the switch, and from an agent that knows no post-copy. */
export function readPostcopy(reply: Fields, sterna: Fields): PostcopyView | undefined {
  if (!sterna.has('postcopy')) return undefined;
  const fields = sterna.object('postcopy');
  return {
    missingPages: fields.count('missing'),
    remainingPages: fields.count('remaining'),
    requests: fields.count('requests'),
    waitedShare: fields.count('waited-share'),
    recoveries: fields.count('recoveries'),
    pausedMs: fields.count('paused-ms'),
    pausedError: readError(fields.object('paused-error'), undefined),
    waitsForResume: fields.flag('waits-for-resume'),
    allBlockedMs: fields.number('blocktime-ms'),
    vcpuBlockedMs: fields.list('vcpu-blocktime-ms').map(Number),
    latencyMs: fields.number('latency-ms'),
    latencyBuckets: reply.list('postcopy-latency-dist').map(Number),
    brownout: fields.list('brownout').map(Number),
    brownoutSpanMs: fields.count('brownout-span-ms'),
  };
}
