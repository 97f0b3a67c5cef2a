import type { MigrationMode, TimeoutAction } from '../../base/index.ts';
import type { HybridRules } from '../../source/index.ts';
import type { Codec } from './page-costs.ts';

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
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
  readonly hybrid: HybridRules;
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
  /** Copy, hash and test of a page that is sent whole; delta; LZ4. */
  readonly encodeMsPerPage: Readonly<Record<Codec, number>>;
  /** From the access of a vCPU to its going on, besides the round trip. */
  readonly faultMs: number;
}

export const DEFAULT_COSTS: PlanCosts = {
  setupMs: 60,
  switchMs: 6,
  encodeMsPerPage: { raw: 0.0016, xbzrle: 0.0022, lz4: 0.012 },
  faultMs: 0.3,
};

/** One way to migrate. */
export interface PlanCandidate {
  readonly mode: MigrationMode;
  readonly codec: Codec;
}
