import type { MigrationMode, TimeoutAction } from '../../base/index.ts';
import type { HybridRules, ThrottleLimits } from '../../source/index.ts';

/** What a page may be sent as besides zeros and as it is: deltas, LZ4 where that pays, or both. */
export type Codec = 'raw' | 'xbzrle' | 'lz4' | 'xbzrle+lz4';

/** By what the guest is slowed when it dirties too fast. */
export type Slowing = 'none' | 'auto-converge' | 'dirty-limit';

/** The way to the destination. */
export interface PlanLink {
  readonly bytesPerMs: number;
  readonly roundTripMs: number;
}

/** What the user has set; the names of the migration's parameters. */
export interface PlanParameters {
  readonly downtimeLimitMs: number;
  /** 0: none. It does not hold while the guest stands still. */
  readonly maxBandwidthBytesPerSecond: number;
  readonly maxPostcopyBandwidthBytesPerSecond: number;
  readonly availSwitchoverBandwidthBytesPerSecond: number;
  readonly xbzrleCacheBytes: number;
  readonly reorder: boolean;
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
  readonly hybrid: HybridRules;
  readonly throttle: ThrottleLimits;
  readonly vcpuDirtyLimitMegabytesPerSecond: number;
  readonly vcpuDirtyLimitPeriodMs: number;
}

/**
 * What this machine needs besides the wire. The defaults were measured with `sterna migrate` on a
 * host of two cores (docs/plan.md).
 */
export interface PlanCosts {
  /** HELLO, the destination's machine, pings. */
  readonly setupMs: number;
  /** Pause, last sync, machine state, records and wake-ups. */
  readonly switchMs: number;
  /** What a page takes from RAM to RAM on a link that is no limit: as it is, or as a delta. */
  readonly pageMs: number;
  readonly deltaMs: number;
  /** What LZ4 takes for a page, in whichever thread. */
  readonly lz4Ms: number;
  /** Threads that compress beside the one that sends. */
  readonly lz4Helpers: number;
  /** The time of a page in post-copy, where frames and window are small. */
  readonly pushMsPerPage: number;
  /** From the access of a vCPU to its going on, besides the round trip. */
  readonly faultMs: number;
}

export const DEFAULT_COSTS: PlanCosts = {
  setupMs: 160,
  switchMs: 8,
  pageMs: 0.006,
  deltaMs: 0.005,
  lz4Ms: 0.012,
  lz4Helpers: 1,
  pushMsPerPage: 0.0075,
  faultMs: 0.3,
};

/** One way to migrate. */
export interface PlanCandidate {
  readonly mode: MigrationMode;
  readonly codec: Codec;
  readonly slowing?: Slowing;
  /** Instead of the one of the parameters. */
  readonly xbzrleCacheBytes?: number;
}

export function usesDeltas(codec: Codec): boolean {
  return codec === 'xbzrle' || codec === 'xbzrle+lz4';
}

export function usesLz4(codec: Codec): boolean {
  return codec === 'lz4' || codec === 'xbzrle+lz4';
}
